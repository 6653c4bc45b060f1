"""Groups of similar rows of mixed variables, as a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils.validation import check_is_fitted, validate_data
from threadpoolctl import threadpool_limits

from models.clustering import tree
from models.clustering.choice import choose, curve_of_cuts
from models.clustering.coordinates import PrincipalComponents, PrincipalCoordinates
from models.clustering.gower import GowerSpace
from models.clustering.groupwise import NAMED, check_known_rows, mean_by_group, share_at_least, silhouettes
from models.clustering.kinds import SCALED

Floats = NDArray[np.float64]

SPACES = ("gower", "pca")


class StoreClustering(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Hierarchical clustering on principal coordinates, consolidated by k-means.

    1. Dissimilarities: Gower's, for mixed variables with missing values (or, for numeric ones without,
       squared Euclidean distances of standardised values: ``space="pca"``).
    2. Coordinates: few axes that carry most of them. Gower's dissimilarity is taken as the *squared* distance:
       its root can be held by a Euclidean space, itself it cannot.
    3. Tree: Ward's on the coordinates, or average or complete linkage on the dissimilarities.
    4. Cut: ``n_clusters`` groups, or as many as the inertia gained and the silhouette call for.
    5. Consolidation: each row goes to the nearest centre, until none moves.

    Parameters
    ----------
    kinds : mapping of str to Kind, optional
        Of every column; inferred from the types if not given.
    weights : mapping of str to float, optional
        Of columns; 1 for those not named.
    n_clusters : int, optional
        Number of groups; chosen by ``criterion`` if not given.
    min_clusters, max_clusters : int
        Between which to choose.
    criterion : {"both", "drop", "quotient", "silhouette"}
        See `models.clustering.choice.choose`.
    space : {"gower", "pca"}
    linkage : {"ward", "average", "complete"}
    n_axes : int, optional
        Axes to keep; if not given, as many as explain ``min_explained`` of the inertia.
    min_explained : float
    consolidate : bool
    random_state : int
        Nothing is drawn at present; the estimator is deterministic.

    Attributes
    ----------
    labels_ : ndarray of shape (n,)
        Group of each row, 0 first; groups are numbered by their centre on the first axis.
    n_clusters_ : int
    linkage_matrix_ : ndarray of shape (n - 1, 4)
        The tree, as SciPy's `dendrogram` draws it.
    choice_ : pandas.DataFrame
        See `models.clustering.choice.curve_of_cuts`; with ``chosen``.
    coordinates_ : ndarray of shape (n, axes)
    explained_ : ndarray of shape (axes,)
        Share of the inertia on each axis.
    centres_ : ndarray of shape (n_clusters, axes)
    inertia_before_consolidation_, inertia_after_consolidation_ : float
        Within the groups, as a share of the inertia of the kept axes.
    silhouette_ : float
        Mean over the rows, of the dissimilarities, after consolidation.
    index_ : list
        Names of the rows, where ``X`` was a data frame.
    incomparable_pairs_ : int
        Pairs of rows that share no known variable; their dissimilarity is taken to be the mean of all others.
        ``incomparable_rows_`` names the rows concerned, the most concerned first.

    Notes
    -----
    O(n cubed) time for the coordinates and O(n squared) memory: meant for thousands of rows. Works on one
    thread: the result must not depend on how many there are, and on a busy machine threads of the linear
    algebra that wait for each other made it ten times slower.

    References
    ----------
    Husson, Josse & Pagès (2010), "Principal component methods - hierarchical clustering - partitional
    clustering: why would we need to choose for visualizing data?", Agrocampus technical report.
    """

    def __init__(
        self,
        kinds: Mapping[str, str] | None = None,
        weights: Mapping[str, float] | None = None,
        n_clusters: int | None = None,
        min_clusters: int = 2,
        max_clusters: int = 10,
        criterion: str = "both",
        space: str = "gower",
        linkage: str = "ward",
        n_axes: int | None = None,
        min_explained: float = 0.9,
        consolidate: bool = True,
        random_state: int | None = 0,
    ) -> None:
        self.kinds = kinds
        self.weights = weights
        self.n_clusters = n_clusters
        self.min_clusters = min_clusters
        self.max_clusters = max_clusters
        self.criterion = criterion
        self.space = space
        self.linkage = linkage
        self.n_axes = n_axes
        self.min_explained = min_explained
        self.consolidate = consolidate
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Group the rows of ``X``.

        Raises
        ------
        ValueError
            A parameter is out of range, a column holds what its kind does not allow, a row has no known
            value, all rows are the same, or there are fewer rows than groups.
        """
        frame = self._frame(X, reset=True)
        self._check(frame)
        with threadpool_limits(1):
            return self._fit(X, frame)

    @property
    def choice_(self) -> pd.DataFrame:
        """What each number of groups is worth, and which was chosen."""
        check_is_fitted(self, "curve_")
        curve = pd.DataFrame(self.curve_)
        return curve.assign(chosen=curve["n_clusters"] == self.n_clusters_)

    def predict(self, X: Any) -> NDArray[np.intp]:
        """Group of new rows: that of the nearest centre, in the axes that were fitted."""
        return np.asarray(self.assign(X)["cluster"], dtype=np.intp)

    def assign(self, X: Any) -> pd.DataFrame:
        """Group of new rows without fitting again, and how well they fit.

        Returns
        -------
        pandas.DataFrame
            A row per row of ``X``: ``cluster`` and ``distance`` from its centre; ``second_cluster`` and
            ``second_distance``; ``difference``, the mean dissimilarity from the group's fitted rows;
            ``typicality``, the share of those that differ as much or more (0: none does, the row is unlike
            any member; about 0.5: as usual). NaN and cluster -1 for a row that shares nothing known
            with the fitted ones.
        """
        check_is_fitted(self, "centres_")
        frame = self._frame(X, reset=False)
        dissimilarity = self._dissimilarity_from_fitted(frame)
        known = ~np.isnan(dissimilarity).all(axis=1)
        if self.space == "pca":
            coordinates = self.axes_.project(frame.to_numpy(np.float64))
        else:
            filled = np.where(np.isnan(dissimilarity), self.mean_dissimilarity_, dissimilarity)
            coordinates = self.axes_.project(filled)
        squared = tree.squared_distances(coordinates, self.centres_)
        order = np.argsort(squared, axis=1, kind="stable")
        rows, nearest = np.arange(len(frame)), order[:, 0]
        second = order[:, 1] if self.n_clusters_ > 1 else np.full(len(frame), -1)
        mean = mean_by_group(dissimilarity, self.labels_, self.n_clusters_)[rows, nearest]
        typicality = np.array(
            [
                share_at_least(self.differences_[self.labels_ == c], d)
                for c, d in zip(nearest, mean, strict=True)
            ]
        )
        table = {
            "cluster": np.where(known, nearest, -1),
            "distance": np.where(known, np.sqrt(squared[rows, nearest]), np.nan),
            "second_cluster": np.where(known, second, -1),
            "second_distance": np.where(known & (second >= 0), np.sqrt(squared[rows, second]), np.nan),
            "difference": mean,
            "typicality": np.where(known, typicality, np.nan),
        }
        return pd.DataFrame(table, index=frame.index)

    def dissimilarity(self) -> Floats:
        """Dissimilarities of the fitted rows, computed again: they are too large to be kept."""
        check_is_fitted(self, "centres_")
        if self.space == "pca":
            return np.sqrt(tree.squared_distances(self.standard_, self.standard_))
        values = self.gower_.pairwise_encoded(self.encoded_)
        return np.where(np.isnan(values), self.mean_dissimilarity_, values)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.space == "gower"
        tags.input_tags.categorical = True
        return tags

    def _fit(self, X: Any, frame: pd.DataFrame) -> Self:
        self.index_ = frame.index.to_list() if isinstance(X, pd.DataFrame) else None
        self.gower_ = GowerSpace(self.kinds, self.weights).fit(frame)
        self.encoded_ = self.gower_.encode(frame)
        check_known_rows(self.encoded_, frame.index)
        dissimilarity = self._dissimilarity(frame)
        self.coordinates_ = self.axes_.coordinates_
        self.explained_ = self.axes_.explained_
        if not self.coordinates_.shape[1]:
            raise ValueError(f"rows must differ to form groups, all {len(frame)} are the same")
        self.linkage_matrix_ = tree.grow(self.coordinates_, dissimilarity, self.linkage)
        largest = self.n_clusters or min(self.max_clusters, len(frame) - 1)
        curve = curve_of_cuts(
            self.linkage_matrix_, self.coordinates_, dissimilarity, min(largest, len(frame) - 1)
        )
        self.n_clusters_ = self.n_clusters or choose(curve, self.criterion, self.min_clusters)
        # As arrays: a stored model must hold no data frames.
        self.curve_ = {name: curve[name].to_numpy() for name in curve}
        labels = tree.cut(self.linkage_matrix_, self.n_clusters_)
        total = float((self.coordinates_**2).sum() / len(frame))
        self.inertia_before_consolidation_ = tree.within_inertia(self.coordinates_, labels) / total
        if self.consolidate:
            labels = tree.consolidate(self.coordinates_, labels, self.random_state)
        self.inertia_after_consolidation_ = tree.within_inertia(self.coordinates_, labels) / total
        self.labels_ = tree.in_order(self.coordinates_, labels)
        self.centres_ = tree.centres_of(self.coordinates_, self.labels_)
        self._describe(dissimilarity)
        return self

    def _check(self, frame: pd.DataFrame) -> None:
        if self.space not in SPACES:
            raise ValueError(f"space must be one of {', '.join(SPACES)}, got {self.space!r}")
        if len(frame) < 3:
            raise ValueError(f"there must be at least 3 rows to form groups, got {len(frame)} samples")
        if not 2 <= self.min_clusters <= self.max_clusters:
            raise ValueError(
                f"clusters must be 2 <= min <= max, got {self.min_clusters} and {self.max_clusters}"
            )
        if self.n_clusters is not None and not 1 <= self.n_clusters <= len(frame):
            raise ValueError(f"n_clusters must be between 1 and the {len(frame)} rows, got {self.n_clusters}")

    def _frame(self, X: Any, *, reset: bool) -> pd.DataFrame:
        """``X`` as a data frame, checked as scikit-learn does."""
        if isinstance(X, pd.DataFrame):
            validate_data(self, X, reset=reset, skip_check_array=True)
            if not reset:
                X = X[list(getattr(self, "feature_names_in_", X.columns))]
            frame: pd.DataFrame = X.set_axis([str(name) for name in X.columns], axis=1)
            return frame
        finite = "allow-nan" if self.space == "gower" else True
        values = validate_data(self, X, reset=reset, dtype=np.float64, ensure_all_finite=finite)
        return pd.DataFrame(values, columns=[f"x{column}" for column in range(values.shape[1])])

    def _dissimilarity(self, frame: pd.DataFrame) -> Floats:
        """Dissimilarities of all rows; fits the axes."""
        if self.space == "pca":
            values, weights = self._numbers(frame)
            self.axes_ = PrincipalComponents(self.n_axes, self.min_explained).fit(values, weights)
            self.incomparable_pairs_, self.incomparable_rows_ = 0, []
            self.standard_ = (values - self.axes_.mean_) * self.axes_.scale_
            return np.sqrt(tree.squared_distances(self.standard_, self.standard_))
        dissimilarity = self.gower_.pairwise_encoded(self.encoded_)
        unknown = np.isnan(dissimilarity)
        self.incomparable_pairs_ = int(unknown.sum()) // 2
        each = unknown.sum(axis=1)
        worst = np.argsort(-each, kind="stable")[: int((each > 0).sum())]
        self.incomparable_rows_ = [frame.index[row] for row in worst]
        n = len(frame)
        self.mean_dissimilarity_ = float(np.nansum(dissimilarity) / max(n * n - n - unknown.sum(), 1))
        dissimilarity[unknown] = self.mean_dissimilarity_
        self.axes_ = PrincipalCoordinates(self.n_axes, self.min_explained).fit(dissimilarity)
        return np.asarray(dissimilarity)

    def _dissimilarity_from_fitted(self, frame: pd.DataFrame) -> Floats:
        if self.space == "pca":
            standard = (self._numbers(frame)[0] - self.axes_.mean_) * self.axes_.scale_
            return np.sqrt(tree.squared_distances(standard, self.standard_))
        return np.asarray(self.gower_.pairwise_encoded(self.gower_.encode(frame), self.encoded_))

    def _numbers(self, frame: pd.DataFrame) -> tuple[Floats, Floats]:
        other = [name for name, kind in self.gower_.kinds_.items() if kind not in SCALED]
        missing = [name for name in frame if frame[name].isna().any()]
        if other or missing:
            raise ValueError(
                "space='pca' needs numeric columns without missing values, got others: "
                f"{other[:NAMED]}, with missing values: {missing[:NAMED]}; use space='gower'"
            )
        return self.gower_.encoder_.transform(frame).T, np.array(list(self.gower_.weights_.values()))

    def _describe(self, dissimilarity: Floats) -> None:
        """Mean silhouette, and how much each row differs from its group."""
        self.silhouette_ = float(silhouettes(dissimilarity, self.labels_).mean())
        means = mean_by_group(dissimilarity, self.labels_, self.n_clusters_)
        self.differences_ = means[np.arange(len(means)), self.labels_]
