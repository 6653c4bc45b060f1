"""How often a customer will buy: BG/NBD's expectation, corrected by boosted trees.

BG/NBD carries over to longer periods than were ever observed; what it gets wrong for customers of a kind, the trees
learn as a factor (Poisson regression whose offset is BG/NBD's expectation).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
import xgboost as xgb
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from models.forecasting.matrix import FeatureMatrix
from models.repurchase.bgnbd import BgNbd, History
from models.repurchase.folds import ROWS_PER_THREAD

Floats = NDArray[np.float64]

#: Least expected purchases: keeps logs finite.
SMALLEST = 1e-6


class PurchaseCounts(BaseEstimator):  # type: ignore[misc]
    """Expected purchases in a period.

    Parameters
    ----------
    rounds, learning_rate, max_depth, min_child_weight, reg_lambda
        Of XGBoost.
    random_state : int
        Seed of everything drawn.
    n_jobs : int, optional
        Most threads; None means 1.

    Attributes
    ----------
    encoder_ : FeatureMatrix
    booster_ : bytes
        In XGBoost's own format.
    bgnbd_ : BgNbd
        Fitted on the newest histories.
    """

    def __init__(
        self,
        *,
        rounds: int = 100,
        learning_rate: float = 0.05,
        max_depth: int = 3,
        min_child_weight: float = 100.0,
        reg_lambda: float = 20.0,
        random_state: int = 0,
        n_jobs: int | None = None,
    ) -> None:
        self.rounds = rounds
        self.learning_rate = learning_rate
        self.max_depth = max_depth
        self.min_child_weight = min_child_weight
        self.reg_lambda = reg_lambda
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(
        self, X: Sequence[pd.DataFrame], history: Sequence[History], ahead: Sequence[Any], y: Sequence[Any]
    ) -> Self:
        """Fit on periods that are over.

        Parameters
        ----------
        X, history, ahead, y
            Blocks of rows in order of time, each of one snapshot: features, what BG/NBD knows, length of the
            period, and purchases in it.

        Raises
        ------
        ValueError
            There are no blocks.
        """
        if not len(X):
            raise ValueError("at least one period must be over, got none: snapshots must reach back further")
        frame = pd.concat(list(X), ignore_index=True)
        self.encoder_ = FeatureMatrix().fit(frame)
        fitted: dict[int, BgNbd] = {}
        for block in history:
            # The same snapshot with another period needs no second fit.
            if id(block) not in fitted:
                fitted[id(block)] = BgNbd.fit(block)
        self.bgnbd_ = fitted[id(history[-1])]
        offset = np.concatenate(
            [
                np.log(np.maximum(_expected(fitted[id(block)], block, days), SMALLEST))
                for block, days in zip(history, ahead, strict=True)
            ]
        )
        threads = self._threads(len(frame))
        data = xgb.DMatrix(
            self.encoder_.transform(frame), label=np.concatenate(list(y)), base_margin=offset, nthread=threads
        )
        params = {
            "objective": "count:poisson",
            "learning_rate": self.learning_rate,
            "max_depth": self.max_depth,
            "min_child_weight": self.min_child_weight,
            "reg_lambda": self.reg_lambda,
            "subsample": 0.7,
            "colsample_bytree": 0.6,
            "tree_method": "hist",
            "seed": self.random_state,
            "nthread": threads,
            "verbosity": 0,
        }
        self.booster_ = bytes(xgb.train(params, data, self.rounds).save_raw("ubj"))
        return self

    def predict(self, X: pd.DataFrame, history: History, ahead: float, *, refit: bool = True) -> Floats:
        """Expected purchases of each customer, shape (n,).

        Parameters
        ----------
        refit
            Fit BG/NBD on these histories, which are newer, instead of using that of the last block.
        """
        check_is_fitted(self, "booster_")
        model = BgNbd.fit(history) if refit else self.bgnbd_
        offset = np.log(np.maximum(model.expected_purchases(history, ahead), SMALLEST))
        threads = self._threads(len(X))
        booster = xgb.Booster({"nthread": threads})
        booster.load_model(bytearray(self.booster_))
        data = xgb.DMatrix(self.encoder_.transform(X), base_margin=offset, nthread=threads)
        return np.asarray(booster.predict(data), dtype=np.float64)

    def _threads(self, rows: int) -> int:
        return max(1, min(self.n_jobs or 1, rows // ROWS_PER_THREAD))


def _expected(model: BgNbd, history: History, ahead: Any) -> Floats:
    """Expected purchases in periods of one length."""
    return model.expected_purchases(history, float(np.asarray(ahead).flat[0]))
