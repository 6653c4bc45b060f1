"""With what a customer comes back: one classifier over all pairs of customer and product bought before.

One model for all products, not one per product: most products have too few repeats to learn from alone, and what
makes a product bought again (own cycle against elapsed time, streak, what other customers do) is much the same
for all. The bench ``online-retail`` measures both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from models.classification.calibration import LogitCalibration
from models.classification.targets import two_classes
from models.forecasting.matrix import FeatureMatrix
from models.repurchase.folds import ROWS_PER_THREAD
from models.repurchase.order_size import OrderSize

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class BasketCalibration:
    """What turns the log-odds of a candidate into a probability, and an order's into a distribution of its size.

    Attributes
    ----------
    logit : LogitCalibration
    order_size : OrderSize
        How the products of an order depend on each other.
    """

    logit: LogitCalibration = field(default_factory=LogitCalibration)
    order_size: OrderSize = field(default_factory=OrderSize)

    @classmethod
    def fit(cls, raw: Floats, bought: NDArray[np.bool_], orders: Any) -> Self:
        """Fit on orders that the boosters did not learn from.

        Parameters
        ----------
        raw : ndarray of shape (n,)
            Log-odds, see :meth:`BasketClassifier.raw_score`.
        bought : ndarray of shape (n,), bool
            Whether the order had the product.
        orders : array-like of shape (n,)
            Which order it was a candidate for; equal values follow each other.
        """
        logit = LogitCalibration.fit(raw, bought)
        return cls(logit, OrderSize.fit(logit(raw), bought, run_lengths(orders)))


class BasketClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Probability that a product bought before is in the customer's next order.

    Boosted trees (XGBoost) on the log loss. A calibration is fitted separately, on later orders, and set by
    :meth:`calibrate`; before that, log-odds are taken as they are and products as independent.

    Parameters
    ----------
    rounds, learning_rate, max_depth, min_child_weight, subsample, colsample, reg_lambda
        Of XGBoost.
    n_models : int
        Boosters with different seeds whose log-odds are averaged.
    random_state : int
        Seed of everything drawn.
    n_jobs : int, optional
        Most threads; None means 1.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
        The second one is "bought".
    encoder_ : FeatureMatrix
    boosters_ : list of bytes
        In XGBoost's own format.
    centre_ : float
        Log-odds from which boosting starts.
    slope_, intercept_ : float
        Calibration of the log-odds.
    order_sd_ : float
        See :class:`models.repurchase.order_size.OrderSize`.
    """

    def __init__(
        self,
        *,
        rounds: int = 250,
        learning_rate: float = 0.08,
        max_depth: int = 6,
        min_child_weight: float = 30.0,
        subsample: float = 0.5,
        colsample: float = 0.4,
        reg_lambda: float = 5.0,
        n_models: int = 1,
        random_state: int = 0,
        n_jobs: int | None = None,
    ) -> None:
        self.rounds = rounds
        self.learning_rate = learning_rate
        self.max_depth = max_depth
        self.min_child_weight = min_child_weight
        self.subsample = subsample
        self.colsample = colsample
        self.reg_lambda = reg_lambda
        self.n_models = n_models
        self.random_state = random_state
        self.n_jobs = n_jobs

    @property
    def calibration(self) -> BasketCalibration:
        """What it serves with."""
        return BasketCalibration(LogitCalibration(self.slope_, self.intercept_), OrderSize(self.order_sd_))

    def fit(self, X: Any, y: Any) -> Self:
        """Fit on candidates of past days.

        Parameters
        ----------
        X : DataFrame or array of shape (n, n_features)
            Numbers and words; missing values allowed.
        y : array-like of shape (n,)
            Whether the next order had the product; two classes.

        Raises
        ------
        ValueError
            ``y`` does not have exactly two classes.
        """
        self.encoder_ = FeatureMatrix().fit(X)
        self.n_features_in_ = self.encoder_.n_features_in_
        if hasattr(self.encoder_, "feature_names_in_"):
            self.feature_names_in_ = self.encoder_.feature_names_in_
        matrix = self.encoder_.transform(X)
        self.classes_, bought = two_classes(y, matrix)
        share = float(np.clip(bought.mean(), 1e-6, 1 - 1e-6))
        self.centre_ = float(np.log(share / (1 - share)))
        self.boosters_ = [self._boost(matrix, bought, self.random_state + k) for k in range(self.n_models)]
        return self.calibrate(BasketCalibration())

    def calibrate(self, calibration: BasketCalibration) -> Self:
        """Take a calibration, see :meth:`BasketCalibration.fit`."""
        self.slope_, self.intercept_ = calibration.logit.slope, calibration.logit.intercept
        self.order_sd_ = calibration.order_size.sd
        return self

    def raw_score(self, X: Any) -> Floats:
        """Log-odds before calibration, shape (n,)."""
        check_is_fitted(self, "boosters_")
        return self._score(self.boosters_, self.encoder_.transform(X))

    def predict_proba(self, X: Any) -> Floats:
        """Calibrated probabilities of the two classes, shape (n, 2)."""
        raw = self.raw_score(X)  # first, because it reports an unfitted estimator
        event = self.calibration.logit(raw)
        return np.column_stack([1 - event, event])

    def predict(self, X: Any) -> NDArray[Any]:
        """Class with the larger probability, shape (n,)."""
        likely = self.predict_proba(X)[:, 1] > 0.5
        return np.asarray(self.classes_[likely.astype(np.intp)])

    def _boost(self, matrix: NDArray[np.float32], bought: NDArray[np.bool_], seed: int) -> bytes:
        threads = self._threads(len(matrix))
        data = xgb.QuantileDMatrix(
            matrix,
            label=bought.astype(np.float32),
            base_margin=np.full(len(matrix), self.centre_, dtype=np.float32),
            nthread=threads,
        )
        params = {
            "objective": "binary:logistic",
            "learning_rate": self.learning_rate,
            "max_depth": self.max_depth,
            "min_child_weight": self.min_child_weight,
            "subsample": self.subsample,
            "colsample_bytree": self.colsample,
            "reg_lambda": self.reg_lambda,
            "tree_method": "hist",
            "seed": seed,
            "nthread": threads,
            "verbosity": 0,
        }
        return bytes(xgb.train(params, data, self.rounds).save_raw("ubj"))

    def _score(self, boosters: list[bytes], matrix: NDArray[np.float32]) -> Floats:
        threads = self._threads(len(matrix))
        margin = np.full(len(matrix), self.centre_, dtype=np.float32)
        data = xgb.DMatrix(matrix, base_margin=margin, nthread=threads)
        total = np.zeros(len(matrix))
        for stored in boosters:
            booster = xgb.Booster({"nthread": threads})
            booster.load_model(bytearray(stored))
            total += booster.predict(data, output_margin=True)
        return total / len(boosters)

    def _threads(self, rows: int) -> int:
        return max(1, min(self.n_jobs or 1, rows // ROWS_PER_THREAD))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.classifier_tags.multi_class = False
        return tags


def run_lengths(values: Any) -> NDArray[np.int64]:
    """Lengths of the runs of equal values, in order."""
    array = np.asarray(values)
    if len(array) == 0:
        return np.empty(0, dtype=np.int64)
    starts = np.flatnonzero(np.concatenate([[True], array[1:] != array[:-1]]))
    return np.diff(np.append(starts, len(array))).astype(np.int64)
