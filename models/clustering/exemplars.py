"""Typical stores of each group, stores that fit theirs badly, and the variables that make them so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.clustering.clusterer import StoreClustering
from models.clustering.kinds import SCALED
from models.clustering.tree import squared_distances

Floats = NDArray[np.float64]

#: Robust deviations from which a store is atypical of its group (Iglewicz & Hoaglin).
ATYPICAL = 3.5
#: Of a normal distribution, the median absolute deviation in standard deviations.
_MAD = 0.6744897501960817


def paragons(model: StoreClustering, top: int = 5) -> pd.DataFrame:
    """Stores nearest to the centre of their group: the ones to show when explaining it.

    Returns
    -------
    pandas.DataFrame
        ``cluster``, ``rank`` from 1, ``row`` (position), ``store`` and ``distance``.
    """
    squared = squared_distances(model.coordinates_, model.centres_)
    own = np.sqrt(squared[np.arange(len(squared)), model.labels_])
    return _ranked(model, own, top)


def distinctive(model: StoreClustering, top: int = 5) -> pd.DataFrame:
    """Stores farthest from the centre of every other group; columns as `paragons`, farthest first."""
    squared = squared_distances(model.coordinates_, model.centres_)
    squared[np.arange(len(squared)), model.labels_] = np.inf
    other = np.sqrt(squared.min(axis=1)) if model.n_clusters_ > 1 else np.zeros(len(squared))
    return _ranked(model, other, top, farthest=True)


def fit_of_rows(model: StoreClustering, threshold: float = ATYPICAL) -> pd.DataFrame:
    """How well each fitted row fits its group.

    Returns
    -------
    pandas.DataFrame
        A row per fitted row: ``store``, ``cluster``, ``difference`` (mean dissimilarity from the
        group), ``usual_difference`` (median over the group), ``deviation`` (robust z score above it),
        ``silhouette`` (negative: another group is nearer) and ``atypical``.
    """
    difference, labels = model.differences_, model.labels_
    usual, scale = np.empty(len(labels)), np.empty(len(labels))
    for cluster in range(model.n_clusters_):
        inside = labels == cluster
        usual[inside] = np.median(difference[inside])
        # Differences are skewed: of those above the median, half are within this of it.
        above = difference[inside] - usual[inside]
        scale[inside] = np.median(above[above >= 0]) / _MAD
    deviation = np.divide(difference - usual, scale, out=np.zeros_like(usual), where=scale > 1e-12)
    return pd.DataFrame(
        {
            "store": names_of(model),
            "cluster": labels,
            "difference": difference,
            "usual_difference": usual,
            "deviation": deviation,
            "silhouette": model.silhouettes_,
            "atypical": deviation >= threshold,
        }
    )


def reasons(model: StoreClustering, X: pd.DataFrame, clusters: Any = None, *, top: int = 3) -> pd.DataFrame:
    """Variables on which rows differ from their group more than its own stores do.

    Parameters
    ----------
    X
        Rows to explain, fitted or new.
    clusters
        Group to compare each row with; the assigned one if not given.
    top
        Variables by row.

    Returns
    -------
    pandas.DataFrame
        By row of ``X``: ``row``, ``store``, ``cluster``, ``rank`` from 1, ``variable``, ``value`` and
        ``usual`` (median, or most frequent category, of the group) as text or number, and ``excess``: by how
        much the variable raises the dissimilarity from the group above that of its median store.
        Variables without excess are left out.
    """
    chosen = np.asarray(model.predict(X) if clusters is None else clusters, dtype=np.intp)
    encoded = model.gower_.encode(X)
    weights = np.array(list(model.gower_.weights_.values()))
    typical = usual_values(model)
    parts = []
    for cluster in np.unique(chosen[chosen >= 0]):
        rows = np.flatnonzero(chosen == cluster)
        members = model.encoded_[:, model.labels_ == cluster]
        usual = np.nan_to_num(_median(model.gower_.mean_by_variable(members, members)))
        mean = model.gower_.mean_by_variable(np.ascontiguousarray(encoded[:, rows]), members)
        excess = np.nan_to_num((mean - usual) * weights / weights.sum())
        order = np.argsort(-excess, axis=1, kind="stable")[:, :top]
        parts += [
            (row, cluster, rank, variable, excess[at, variable])
            for at, row in enumerate(rows)
            for rank, variable in enumerate(order[at], start=1)
            if excess[at, variable] > 0
        ]
    columns = np.array(list(model.gower_.kinds_), dtype=object)
    table = pd.DataFrame(parts, columns=["row", "cluster", "rank", "variable", "excess"])
    table = table.sort_values(["row", "rank"], kind="stable", ignore_index=True)
    variable = table["variable"].to_numpy(np.intp)
    shown = _shown(model, encoded)
    table["value"] = [shown[column][row] for row, column in zip(table["row"], variable, strict=True)]
    table["usual"] = [
        typical.iloc[cluster, column] for cluster, column in zip(table["cluster"], variable, strict=True)
    ]
    table["variable"] = columns[variable]
    table["store"] = X.index.to_numpy()[table["row"].to_numpy(np.intp)]
    return table[["row", "store", "cluster", "rank", "variable", "value", "usual", "excess"]]


def usual_values(model: StoreClustering) -> pd.DataFrame:
    """Median (of levels, the lower), or most frequent category or answer, of each variable in each group."""
    encoded = model.encoded_
    usual = np.empty((len(encoded), model.n_clusters_))
    for at, kind in enumerate(model.gower_.kinds_.values()):
        if kind in SCALED:
            values = pd.Series(encoded[at]).groupby(model.labels_).median().to_numpy(np.float64)
        else:
            values = pd.Series(encoded[at]).groupby(model.labels_).agg(_most_frequent).to_numpy(np.float64)
        usual[at] = values
    shown = _shown(model, usual)
    table = dict(zip(model.gower_.kinds_, shown, strict=True))
    return pd.DataFrame(table, index=pd.RangeIndex(model.n_clusters_, name="cluster"))


def names_of(model: StoreClustering) -> list[Any]:
    """Names of the fitted rows; positions where they had none."""
    return list(range(len(model.labels_))) if model.index_ is None else list(model.index_)


def _shown(model: StoreClustering, encoded: Floats) -> list[NDArray[Any]]:
    """Values of each variable as people know them: numbers, category names, None where missing."""
    decoded, out = model.gower_.decode(encoded), []
    for values, name in zip(decoded, model.gower_.kinds_, strict=True):
        levels = model.gower_.encoder_.levels_.get(name)
        if levels is not None:
            known = [*levels, "another", None]  # -1: unseen when fitted; missing: last
            codes = np.where(np.isnan(values), len(levels) + 1, np.where(values < 0, len(levels), values))
            out.append(np.array(known, dtype=object)[np.floor(codes + 1e-6).astype(np.intp)])
        else:
            out.append(values)
    return out


def _most_frequent(values: pd.Series) -> float:
    """Code that occurs most, the first of equals; NaN if nothing is known."""
    modes = values.mode()
    return float(modes.iloc[0]) if len(modes) else float("nan")


def _ranked(model: StoreClustering, distance: Floats, top: int, *, farthest: bool = False) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "cluster": model.labels_,
            "row": np.arange(len(distance)),
            "store": names_of(model),
            "distance": distance,
        }
    ).sort_values(["cluster", "distance"], ascending=[True, not farthest], kind="stable", ignore_index=True)
    table.insert(1, "rank", table.groupby("cluster").cumcount() + 1)
    return table[table["rank"] <= top].reset_index(drop=True)


def _median(values: Floats) -> Floats:
    """Median of the known values of each column; NaN without any."""
    known = ~np.isnan(values).all(axis=0)
    out = np.full(values.shape[1], np.nan)
    if known.any():
        out[known] = np.nanmedian(values[:, known], axis=0)
    return out
