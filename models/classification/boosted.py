"""The project's default classifier: calibrated, deterministic gradient boosting on mixed tables."""

from __future__ import annotations

from typing import Any, Self, cast

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import StratifiedKFold
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from models.classification.calibration import LogitCalibration
from models.classification.frames import FrameEncoder
from models.classification.targets import two_classes
from models.evaluation.splits import forward_folds

#: On fewer rows a further thread waits more than it works, on a busy machine ten times more.
ROWS_PER_THREAD = 20_000

Folds = list[tuple[NDArray[np.intp], NDArray[np.intp]]]


class ChurnClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Gradient-boosted trees for a rare yes/no event, with probabilities that can be trusted.

    Small trees, a low learning rate and strong regularisation; the number of rounds is found by
    early stopping on the log loss over folds (forward in time where ``snapshots`` are given,
    stratified otherwise), then boosters are refitted on all rows. The raw scores of the folds'
    validation rows calibrate the probabilities, if that proves to help from fold to fold. The classes
    are not re-weighted: the ranking does not need it, and it would spoil the probabilities.

    The encoding of the frame is part of the estimator, so one object is all that scoring needs.

    Parameters
    ----------
    n_estimators : int
        Most rounds; early stopping takes fewer.
    learning_rate : float in (0, 1]
        Shrinkage of each round.
    num_leaves, max_depth : int
        Size of a tree. The cost of explanations grows with leaves x depth squared.
    min_child_samples : int
        Fewest rows in a leaf.
    subsample, colsample : float in (0, 1]
        Share of rows and columns drawn for each tree.
    reg_lambda, reg_alpha : float
        L2 and L1 penalties on leaf values.
    n_models : int
        Boosters with different seeds whose log-odds are averaged.
    n_folds : int
        Folds of early stopping and calibration.
    patience : int
        Rounds without a better mean log loss before stopping.
    horizon_days : int
        Days after a snapshot within which its label happens; folds are purged by it.
    random_state : int
        Seed of everything drawn.
    n_jobs : int, optional
        Most threads; None means 1. Fewer are used on few rows. Results do not depend on it.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
        The second one is the event.
    encoder_ : FrameEncoder
    boosters_ : list of lightgbm.Booster
    calibration_ : LogitCalibration
    n_rounds_ : int
        Rounds of each booster.
    fold_loss_ : float
        Mean log loss over the folds' validation rows at ``n_rounds_``; NaN without folds.
    """

    def __init__(
        self,
        *,
        n_estimators: int = 1000,
        learning_rate: float = 0.05,
        num_leaves: int = 8,
        max_depth: int = 3,
        min_child_samples: int = 30,
        subsample: float = 0.8,
        colsample: float = 0.5,
        reg_lambda: float = 5.0,
        reg_alpha: float = 0.0,
        n_models: int = 1,
        n_folds: int = 3,
        patience: int = 30,
        horizon_days: int = 30,
        random_state: int = 0,
        n_jobs: int | None = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.num_leaves = num_leaves
        self.max_depth = max_depth
        self.min_child_samples = min_child_samples
        self.subsample = subsample
        self.colsample = colsample
        self.reg_lambda = reg_lambda
        self.reg_alpha = reg_alpha
        self.n_models = n_models
        self.n_folds = n_folds
        self.patience = patience
        self.horizon_days = horizon_days
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any, snapshots: Any = None) -> Self:
        """Fit on ``X`` and ``y``.

        Parameters
        ----------
        X : DataFrame or array of shape (n, n_features)
            Numbers, flags and words; missing values allowed.
        y : array-like of shape (n,)
            Two classes; the one that sorts last is the event.
        snapshots : array-like of shape (n,), optional
            Day each row would have been scored. Folds then go forward in time.

        Raises
        ------
        ValueError
            A parameter is out of range, or ``y`` does not have exactly two classes.
        """
        self._check_parameters()
        self.encoder_ = FrameEncoder().fit(X)
        matrix = self.encoder_.transform(X)
        self.n_features_in_ = self.encoder_.n_features_in_
        if hasattr(self.encoder_, "feature_names_in_"):
            self.feature_names_in_ = self.encoder_.feature_names_in_
        self.classes_, target = two_classes(y, matrix)

        data = dataset(matrix, target, self.encoder_)
        folds = self._folds(target, snapshots)
        self.n_rounds_, self.fold_loss_, raw, held_out = boost_folds(
            data,
            matrix,
            folds,
            self.booster_params(len(matrix)),
            rounds=self.n_estimators,
            patience=self.patience,
        )
        fold = np.repeat(np.arange(len(folds)), [len(held) for _, held in folds])
        self.calibration_ = LogitCalibration.fit_over_folds(raw, target[held_out], fold)
        self.boosters_ = [
            lgb.train(self.booster_params(len(matrix), seed=self.random_state + 1 + k), data, self.n_rounds_)
            for k in range(self.n_models)
        ]
        return self

    def raw_score(self, X: Any) -> NDArray[np.float64]:
        """Mean log-odds of the boosters before calibration, shape (n,)."""
        check_is_fitted(self, "boosters_")
        matrix = self.encoder_.transform(X)
        total = np.zeros(len(matrix))
        for booster in self.boosters_:
            total += booster.predict(matrix, raw_score=True, num_threads=self.n_jobs or 1)
        return total / len(self.boosters_)

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Calibrated log-odds of the event, shape (n,)."""
        raw = self.raw_score(X)
        return self.calibration_.slope * raw + self.calibration_.intercept

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Calibrated probabilities of the two classes, shape (n, 2)."""
        raw = self.raw_score(X)  # first, because it reports an unfitted estimator
        event = self.calibration_(raw)
        return np.column_stack([1.0 - event, event])

    def predict(self, X: Any) -> NDArray[Any]:
        """Class with the larger probability, shape (n,)."""
        likely = self.decision_function(X) > 0
        return np.asarray(self.classes_[likely.astype(np.intp)])

    def booster_params(self, rows: int, *, seed: int | None = None) -> dict[str, Any]:
        """Parameters of one booster for so many rows, in LightGBM's own names."""
        return {
            "objective": "binary",
            "learning_rate": self.learning_rate,
            "num_leaves": self.num_leaves,
            "max_depth": self.max_depth,
            "min_data_in_leaf": self.min_child_samples,
            "bagging_fraction": self.subsample,
            "bagging_freq": 1 if self.subsample < 1 else 0,
            "feature_fraction": self.colsample,
            "lambda_l2": self.reg_lambda,
            "lambda_l1": self.reg_alpha,
            "seed": self.random_state if seed is None else seed,
            "deterministic": True,
            # One thread owns a column's histogram, so sums do not depend on the number of threads.
            "force_col_wise": True,
            "num_threads": max(1, min(self.n_jobs or 1, rows // ROWS_PER_THREAD)),
            "verbose": -1,
        }

    def _folds(self, target: NDArray[np.bool_], snapshots: Any) -> Folds:
        if snapshots is not None:
            check_consistent_length(target, snapshots)
            found = forward_folds(snapshots, n_folds=self.n_folds, horizon_days=self.horizon_days)
            return [fold for fold in found if all(0 < target[part].sum() < len(part) for part in fold)]
        n_folds = min(self.n_folds, int(target.sum()), int((~target).sum()))
        if n_folds < 2:
            return []
        splitter = StratifiedKFold(n_folds, shuffle=True, random_state=self.random_state)
        return list(splitter.split(np.zeros(len(target)), target))

    def _check_parameters(self) -> None:
        for name in ("learning_rate", "subsample", "colsample"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in (0, 1], got {getattr(self, name)!r}")
        for name, least in (("n_estimators", 1), ("n_models", 1), ("n_folds", 2), ("num_leaves", 2)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)!r}")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.classifier_tags.multi_class = False
        return tags


def dataset(matrix: NDArray[np.float64], target: NDArray[np.bool_], encoder: FrameEncoder) -> lgb.Dataset:
    """Binned data of LightGBM, categories declared; binned once and shared by all folds and seeds."""
    return lgb.Dataset(
        matrix,
        label=target.astype(np.float64),
        categorical_feature=sorted(encoder.categories_),
        # Unfiltered: trials with smaller leaves must still see every feature.
        params={"verbose": -1, "deterministic": True, "feature_pre_filter": False},
        free_raw_data=False,
    )


def boost_folds(
    data: lgb.Dataset,
    matrix: NDArray[np.float64],
    folds: Folds,
    params: dict[str, Any],
    *,
    rounds: int,
    patience: int,
) -> tuple[int, float, NDArray[np.float64], NDArray[np.intp]]:
    """Boost on all folds at once; stop when their mean log loss has not improved for ``patience`` rounds.

    Returns
    -------
    n_rounds : int
        Best number of rounds; ``rounds`` without folds.
    loss : float
        Mean log loss of the folds at ``n_rounds``; NaN without folds.
    raw : ndarray of shape (m,)
        Log-odds of the folds' validation rows at ``n_rounds``.
    held_out : ndarray of shape (m,)
        Row positions of ``raw``.
    """
    if not folds:
        return rounds, float("nan"), np.empty(0), np.empty(0, dtype=np.intp)
    result = lgb.cv(
        {**params, "metric": "binary_logloss"},
        data,
        num_boost_round=rounds,
        folds=folds,
        callbacks=[lgb.early_stopping(patience, verbose=False)],
        return_cvbooster=True,
    )
    curve = np.asarray(result["valid binary_logloss-mean"], dtype=np.float64)
    boosters = cast(lgb.CVBooster, result["cvbooster"]).boosters
    best = int(np.argmin(curve)) + 1
    raw = [
        booster.predict(matrix[held], raw_score=True, num_iteration=best, num_threads=params["num_threads"])
        for booster, (_, held) in zip(boosters, folds, strict=True)
    ]
    return best, float(curve[best - 1]), np.concatenate(raw), np.concatenate([held for _, held in folds])
