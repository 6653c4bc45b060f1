"""A random forest for rare events: each tree sees equally many rows of both classes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.validation import check_is_fitted, validate_data

from models.classification.calibration import LogitCalibration
from models.classification.packed_trees import PackedTrees
from models.classification.targets import two_classes

Floats = NDArray[np.float64]

#: Shares of a forest are held away from 0 and 1, whose log-odds are infinite.
_EDGE = 1e-3


class BalancedForestClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Random forest with a balanced bootstrap and probabilities of the classes as they are.

    Each tree is grown on as many rows of the event as of the other class, drawn with replacement, so that a rare
    event is not outvoted. Re-weighting the classes within an ordinary bootstrap (``balanced_subsample``) is not the
    same: a tree would still see few events, and grow on millions of other rows. The shares that such trees vote for
    belong to a world in which both classes are equally frequent; rows that trees have not seen (out of bag) lead
    back to this one by a logistic map, which keeps the ranking.

    Parameters
    ----------
    n_estimators : int
        Trees.
    max_depth : int, optional
        Most levels of a tree; None is no limit.
    min_samples_leaf : int
        Fewest rows in a leaf.
    max_features : float or {'sqrt', 'log2'}
        Columns looked at for a split.
    max_draws : int, optional
        Most rows drawn of each class; as many as the rarer class has by default.
    calibration_rows : int
        Most rows of the other class that are looked at out of bag; all events are.
    min_events : int
        With fewer events, probabilities follow from the balance of the draws alone.
    random_state : int
        Seed of everything drawn.
    n_jobs : int, optional
        Threads; None means 1. Results do not depend on it.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
        The second one is the event.
    trees_ : PackedTrees
    calibration_ : LogitCalibration
        From the log-odds of the forest's mean vote to those of the event.
    rate_ : float
        Share of the event among the rows.
    feature_importances_ : ndarray of shape (n_features,)
        Mean share of each column in the decrease of impurity.

    References
    ----------
    Chen, Liaw & Breiman (2004), Using random forest to learn imbalanced data, UC Berkeley.
    """

    def __init__(
        self,
        *,
        n_estimators: int = 100,
        max_depth: int | None = None,
        min_samples_leaf: int = 5,
        max_features: float | str = "sqrt",
        max_draws: int | None = None,
        calibration_rows: int = 20_000,
        min_events: int = 50,
        random_state: int = 0,
        n_jobs: int | None = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features
        self.max_draws = max_draws
        self.calibration_rows = calibration_rows
        self.min_events = min_events
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Grow the trees and calibrate them.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            Numbers; missing values allowed.
        y : array-like of shape (n,)
            Two classes; the one that sorts last is the event.
        groups : array-like of shape (n,), optional
            Whom a row is about. A row counts as unseen by a tree only if no row of its group was drawn: rows of one
            customer on several days resemble each other. By default each row stands for itself.

        Raises
        ------
        ValueError
            ``n_estimators`` is not positive, or ``y`` has not exactly two classes.
        """
        if self.n_estimators < 1:
            raise ValueError(f"n_estimators must be at least 1, got {self.n_estimators!r}")
        X = validate_data(self, X, dtype=np.float32, order="C", ensure_all_finite="allow-nan")
        self.classes_, event = two_classes(y, X)
        self.rate_ = float(event.mean())
        rows = np.flatnonzero(event), np.flatnonzero(~event)
        drawn = [self._draw(rows, seed) for seed in self._seeds()]
        with ThreadPoolExecutor(self.n_jobs or 1) as pool:
            trees = list(pool.map(lambda draw: self._grow(X, event, *draw), drawn))
        self.trees_ = PackedTrees.of(trees)
        self.feature_importances_ = np.mean([tree.feature_importances_ for tree in trees], axis=0)
        self.calibration_ = self._calibrate(X, event, groups, [index for index, _ in drawn])
        return self

    def predict_proba(self, X: Any) -> Floats:
        """Probabilities of the two classes, shape (n, 2)."""
        check_is_fitted(self, "trees_")
        X = validate_data(self, X, reset=False, dtype=np.float32, order="C", ensure_all_finite="allow-nan")
        chance = self.calibration_(_log_odds(self.trees_.mean(X, n_jobs=self.n_jobs or 1)))
        return np.column_stack([1.0 - chance, chance])

    def predict(self, X: Any) -> NDArray[Any]:
        """Class that is likelier, shape (n,)."""
        likelier = self.predict_proba(X)[:, 1] > 0.5
        return np.asarray(self.classes_[likelier.astype(np.intp)])

    def _seeds(self) -> list[np.random.SeedSequence]:
        return np.random.SeedSequence(self.random_state).spawn(self.n_estimators)

    def _draw(
        self, rows: tuple[NDArray[np.intp], NDArray[np.intp]], seed: np.random.SeedSequence
    ) -> tuple[NDArray[np.intp], int]:
        """Rows of a tree, equally many of both classes, and the tree's own seed."""
        rng = np.random.default_rng(seed)
        size = min(len(rows[0]), len(rows[1]))
        size = size if self.max_draws is None else min(size, self.max_draws)
        index = np.concatenate([of_class[rng.integers(0, len(of_class), size)] for of_class in rows])
        return index, int(rng.integers(0, 2**31))

    def _grow(self, X: Any, event: NDArray[np.bool_], index: NDArray[np.intp], seed: int) -> Any:
        return DecisionTreeClassifier(
            max_depth=self.max_depth,
            min_samples_leaf=self.min_samples_leaf,
            max_features=self.max_features,
            random_state=seed,
        ).fit(X[index], event[index])

    def _calibrate(
        self, X: Any, event: NDArray[np.bool_], groups: Any, drawn: list[NDArray[np.intp]]
    ) -> LogitCalibration:
        """Fit the map on rows out of bag: all events, and a sample of the others, which is accounted for."""
        group = np.arange(len(X)) if groups is None else np.unique(groups, return_inverse=True)[1].reshape(-1)
        seen = np.zeros((len(drawn), int(group.max()) + 1), dtype=np.bool_)
        for tree, index in enumerate(drawn):
            seen[tree, group[index]] = True
        others = np.flatnonzero(~event)
        taken = min(len(others), self.calibration_rows)
        rng = np.random.default_rng([self.random_state, 1])
        rows = np.concatenate([np.flatnonzero(event), rng.choice(others, taken, replace=False)])
        vote = self.trees_.mean_unseen(X[rows], group[rows], seen, n_jobs=self.n_jobs or 1)
        known = ~np.isnan(vote)
        true = event[rows][known]
        if min(int(true.sum()), int((~true).sum())) < self.min_events:
            return LogitCalibration(intercept=float(np.log(self.rate_ / (1 - self.rate_))))
        found = LogitCalibration.fit(_log_odds(vote[known]), true, min_positives=self.min_events)
        # Odds among the sampled rows are higher by what was left out of the others.
        return LogitCalibration(found.slope, found.intercept + float(np.log(taken / len(others))))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.classifier_tags.multi_class = False
        return tags


def _log_odds(share: Floats) -> Floats:
    inside = np.clip(share, _EDGE, 1 - _EDGE)
    return np.asarray(np.log(inside / (1 - inside)))
