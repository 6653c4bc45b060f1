"""The estimator that serves: groups with names that stay, and the preparation of columns that belongs to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils.validation import check_is_fitted

from models.clustering.clusterer import StoreClustering
from models.clustering.gower import gower_distances
from models.clustering.kinds import Kind

#: Of a normal distribution, the median absolute deviation in standard deviations.
_MAD = 0.6744897501960817
#: Spread below which all stores of a group are alike.
_NOTHING = 1e-12


class NamedGroups(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Clustering of rows as they are stored, with groups that have names.

    Parameters
    ----------
    clustering : StoreClustering
        Its ``kinds`` name the columns that take part.
    log_scaled : sequence of str
        Amounts compared by their ratio: the same factor is the same distance everywhere.
    levels : mapping of str to sequence of str
        Words of ordinal columns, lowest first.

    Attributes
    ----------
    clustering_ : StoreClustering
        Fitted.
    bounds_ : dict of str to (float, float)
        Smallest and largest fitted value of numeric columns as they are compared. Values of other rows are taken
        to lie within: a store beyond the range is as different as stores ever were, and not more.
    names_ : list of str
        Name of each of its groups; letters by size until :meth:`rename` is called.
    used_names_ : list of str
        All names that were ever given, so that a group that is gone does not come back as another.
    """

    def __init__(
        self,
        clustering: StoreClustering,
        log_scaled: Sequence[str] = (),
        levels: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.clustering = clustering
        self.log_scaled = log_scaled
        self.levels = levels

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:
        """Group the rows; see `StoreClustering.fit`."""
        from sklearn.base import clone

        self.bounds_: dict[str, tuple[float, float]] = {}
        X = self.prepared(X)
        self.clustering_ = clone(self.clustering).fit(X)
        numeric = [name for name, kind in self.clustering_.gower_.kinds_.items() if kind is Kind.NUMERIC]
        self.bounds_ = {name: (float(X[name].min()), float(X[name].max())) for name in numeric}
        sizes = np.bincount(self.clustering_.labels_, minlength=self.clustering_.n_clusters_)
        names = np.empty(len(sizes), dtype=object)
        names[np.argsort(-sizes, kind="stable")] = letters(len(sizes))
        return self.rename(names.tolist())

    def rename(self, names: Sequence[str], used: Sequence[str] = ()) -> Self:
        """Rename the groups, for instance those of the groups they continue."""
        check_is_fitted(self, "clustering_")
        groups = self.clustering_.n_clusters_
        if len(names) != groups or len(set(names)) != groups:
            raise ValueError(f"names must be {groups} different ones, got {list(names)}")
        self.names_ = [str(name) for name in names]
        self.used_names_ = sorted({*self.names_, *map(str, used)}, key=lambda name: (len(name), name))
        return self

    @property
    def labels_(self) -> NDArray[Any]:
        """Name of the group of each fitted row."""
        return np.asarray(np.array(self.names_, dtype=object)[self.clustering_.labels_])

    def predict(self, X: pd.DataFrame) -> NDArray[Any]:
        """Name of the group of each row, without fitting again; empty where nothing of it is known."""
        return np.asarray(self.assign(X)["cluster"], dtype=str)

    def assign(self, X: pd.DataFrame) -> pd.DataFrame:
        """As `StoreClustering.assign`, with names for ``cluster`` and ``second_cluster``."""
        check_is_fitted(self, "clustering_")
        found = self.clustering_.assign(self.prepared(X))
        names = np.array([*self.names_, ""], dtype=object)  # -1 is the last one
        named: pd.DataFrame = found.assign(
            cluster=names[found["cluster"].to_numpy(int)],
            second_cluster=names[found["second_cluster"].to_numpy(int)],
        )
        return named

    def deviation(self, assigned: pd.DataFrame) -> NDArray[np.float64]:
        """How far the difference of each row from its group is above the usual one there, as a robust z score.

        Parameters
        ----------
        assigned
            By :meth:`assign`.
        """
        model = self.clustering_
        out = np.full(len(assigned), np.nan)
        for number, name in enumerate(self.names_):
            usual = model.differences_[model.labels_ == number]
            middle = np.median(usual)
            spread = np.median(np.abs(usual - middle)) / _MAD
            rows = (assigned["cluster"] == name).to_numpy()
            excess = assigned["difference"].to_numpy()[rows] - middle
            out[rows] = excess / spread if spread > _NOTHING else 0.0
        return out

    def coordinates(self, X: pd.DataFrame) -> NDArray[np.float64]:
        """Places of rows on the axes, shape (rows, axes): fitted rows come out where they were fitted."""
        model = self.clustering_
        dissimilarity = model.gower_.pairwise_encoded(model.gower_.encode(self.prepared(X)), model.encoded_)
        filled = np.where(np.isnan(dissimilarity), model.mean_dissimilarity_, dissimilarity)
        return np.asarray(model.axes_.project(filled))

    def raw_value(self, variable: str, value: Any) -> Any:
        """Turn a value as it is compared, of a level its number, into the value as it is stored."""
        if value is None or (isinstance(value, float) and np.isnan(value)):
            return None
        levels = dict(self.levels or {}).get(variable)
        if levels is not None and not isinstance(value, str):
            return levels[round(float(value))]
        return float(np.expm1(value)) if variable in set(self.log_scaled) else value

    def mean_difference(self, X: pd.DataFrame, variable: str) -> float:
        """Mean difference of two rows in one variable, by which weights can be balanced; 0 if none is known."""
        kinds = {variable: dict(self.clustering.kinds or {})[variable]}
        column = NamedGroups(StoreClustering(kinds=kinds), self.log_scaled, self.levels).prepared(X)
        pairs = gower_distances(column, kinds)[np.triu_indices(len(column), 1)]
        known = pairs[~np.isnan(pairs)]
        return float(known.mean()) if len(known) else 0.0

    def prepared(self, X: pd.DataFrame) -> pd.DataFrame:
        """Columns as they are compared.

        Raises
        ------
        ValueError
            A column is missing, or an amount that is compared by its ratio is negative.
        """
        kinds = dict(self.clustering.kinds or {})
        missing = [name for name in kinds if name not in X.columns]
        if missing:
            raise ValueError(f"X must have the columns that groups were made from, missing {missing}")
        scaled, levels = set(self.log_scaled), dict(self.levels or {})
        columns = pd.DataFrame(
            {
                name: _prepared(X[name], Kind(kind), name in scaled, levels.get(name))
                for name, kind in kinds.items()
            },
            index=X.index,
        )
        for name, (low, high) in getattr(self, "bounds_", {}).items():
            columns[name] = columns[name].clip(low, high)
        return columns


def letters(count: int, used: Sequence[str] = ()) -> list[str]:
    """Return the first ``count`` of A, B, ..., Z, AA, AB, ... that were not used."""
    found: list[str] = []
    number = 0
    while len(found) < count:
        number += 1
        rest, name = number, ""
        while rest:
            rest, place = divmod(rest - 1, 26)
            name = chr(ord("A") + place) + name
        if name not in used:
            found.append(name)
    return found


def _prepared(column: pd.Series, kind: Kind, log_scaled: bool, levels: Sequence[str] | None) -> pd.Series:
    if kind is Kind.ORDINAL and levels is not None:
        return pd.Series(pd.Categorical(column, categories=list(levels), ordered=True), index=column.index)
    if kind is Kind.NOMINAL:
        words = [value if known else None for value, known in zip(column, column.notna(), strict=True)]
        return pd.Series(words, index=column.index, name=column.name, dtype=object)
    values = column.astype(object).where(column.notna(), np.nan).astype(np.float64)
    if not log_scaled:
        return values
    if (values < 0).any():
        raise ValueError(
            f"{column.name} is compared by its ratio and must not be negative, got {values.min():g}"
        )
    return pd.Series(np.log1p(values.to_numpy()), index=values.index, name=values.name)
