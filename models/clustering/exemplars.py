"""Typical stores of each group, and the variables on which a store differs from its group."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.clustering.clusterer import StoreClustering
from models.clustering.kinds import SCALED
from models.clustering.tree import squared_distances

Floats = NDArray[np.float64]


def paragons(model: StoreClustering, top: int = 5) -> pd.DataFrame:
    """Stores nearest to the centre of their group: the ones to show when explaining it.

    Returns
    -------
    pandas.DataFrame
        ``cluster``, ``rank`` from 1, ``row`` (position), ``store`` and ``distance``.
    """
    squared = squared_distances(model.coordinates_, model.centres_)
    own = np.sqrt(squared[np.arange(len(squared)), model.labels_])
    names = range(len(own)) if model.index_ is None else list(model.index_)
    table = pd.DataFrame(
        {"cluster": model.labels_, "row": np.arange(len(own)), "store": names, "distance": own}
    ).sort_values(["cluster", "distance"], kind="stable", ignore_index=True)
    table.insert(1, "rank", table.groupby("cluster").cumcount() + 1)
    return table[table["rank"] <= top].reset_index(drop=True)


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


def _median(values: Floats) -> Floats:
    """Median of the known values of each column; NaN without any."""
    known = ~np.isnan(values).all(axis=0)
    out = np.full(values.shape[1], np.nan)
    if known.any():
        out[known] = np.nanmedian(values[:, known], axis=0)
    return out
