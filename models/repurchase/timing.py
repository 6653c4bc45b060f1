"""When a customer comes back: days to the next order, learned also from customers who have not come back yet.

An accelerated failure time model. Boosted trees (XGBoost, ``survival:aft``) predict the log of the typical
wait; a customer who had not come back when observation ended counts as "waited at least so long". How waits
spread around the typical one is not taken from a textbook distribution but estimated (Kaplan-Meier) from
customers that the trees had not seen, in groups of similar typical wait, because regular customers spread less
than occasional ones. From that follow, for any day ahead, the probability of a return by then; and given a return
within the horizon, the day before and after which it is equally likely and a window around it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from models.forecasting.matrix import FeatureMatrix
from models.repurchase.folds import ROWS_PER_THREAD, group_folds
from models.repurchase.survival import survival_curve

Floats = NDArray[np.float64]

#: Order days count as their middle, so that a wait of 0 days has a logarithm.
HALF = 0.5

#: Grid of the log ratio of a wait to the typical one.
GRID = np.linspace(-8.0, 6.0, 1401)

#: Rows whose distribution over days is held at once.
CHUNK = 20_000


@dataclass(frozen=True)
class Wait:
    """Predicted waits, all of shape (n,), in days from ``as_of``.

    Attributes
    ----------
    probability : ndarray
        Of an order within the horizon.
    expected, low, high : ndarray
        Median and ends of the window, given an order within the horizon.
    """

    probability: Floats
    expected: Floats
    low: Floats
    high: Floats


class NextOrderTiming(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Days to the next order, with censoring.

    Parameters
    ----------
    horizon_days : int
        Days, from ``as_of`` on, that are predicted. Some training rows must have been observed so long.
    window : float in (0, 1)
        Share of the returns within the horizon that the window holds.
    rounds, learning_rate, max_depth, min_child_weight, subsample, colsample, reg_lambda
        Of XGBoost.
    scale : float
        Spread of log waits that the loss assumes; the distribution itself is estimated.
    n_folds : int
        Folds of customers for the estimate of the spread.
    max_groups, min_returns : int
        Most groups of similar typical wait, and fewest returns in one.
    random_state : int
        Seed of everything drawn.
    n_jobs : int, optional
        Most threads; None means 1.

    Attributes
    ----------
    encoder_ : FeatureMatrix
    booster_ : bytes
        In XGBoost's own format.
    centre_ : float
        Mean log wait, from which boosting starts.
    edges_ : ndarray of shape (n_groups - 1,)
        Typical log waits between the groups.
    survival_ : ndarray of shape (n_groups, len(GRID))
        Share of waits longer than ``exp(GRID)`` times the typical one.
    out_of_fold_ : ndarray of shape (n,)
        Typical log wait of each training row, by trees that had not seen its customer. Not stored.
    """

    def __init__(
        self,
        *,
        horizon_days: int = 28,
        window: float = 0.8,
        rounds: int = 250,
        learning_rate: float = 0.05,
        max_depth: int = 4,
        min_child_weight: float = 20.0,
        subsample: float = 0.7,
        colsample: float = 0.6,
        reg_lambda: float = 5.0,
        scale: float = 1.0,
        n_folds: int = 4,
        max_groups: int = 10,
        min_returns: int = 200,
        random_state: int = 0,
        n_jobs: int | None = None,
    ) -> None:
        self.horizon_days = horizon_days
        self.window = window
        self.rounds = rounds
        self.learning_rate = learning_rate
        self.max_depth = max_depth
        self.min_child_weight = min_child_weight
        self.subsample = subsample
        self.colsample = colsample
        self.reg_lambda = reg_lambda
        self.scale = scale
        self.n_folds = n_folds
        self.max_groups = max_groups
        self.min_returns = min_returns
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any, *, censored: Any = None, customers: Any = None) -> Self:
        """Fit on past days.

        Parameters
        ----------
        X : DataFrame or array of shape (n, n_features)
            Numbers and words; missing values allowed.
        y : array-like of shape (n,)
            Days to the next order; for censored rows, days observed without one.
        censored : array-like of bool, shape (n,), optional
            Rows whose next order is not known yet; none by default.
        customers : array-like of shape (n,), optional
            Whose row it is: rows of a customer stay in one fold. Each its own by default.

        Raises
        ------
        ValueError
            A wait is negative, a parameter is out of range, nobody came back, or no row was observed for the
            horizon.
        """
        days = np.asarray(y, dtype=np.float64)
        open_end = np.zeros(len(days), dtype=bool) if censored is None else np.asarray(censored, dtype=bool)
        self._check(days, open_end)
        self.encoder_ = FeatureMatrix().fit(X)
        self.n_features_in_ = self.encoder_.n_features_in_
        if hasattr(self.encoder_, "feature_names_in_"):
            self.feature_names_in_ = self.encoder_.feature_names_in_
        matrix = self.encoder_.transform(X)
        # Observed d days without an order: the wait is longer than the last of them. An order on day d: its middle.
        log_wait = np.log(np.where(open_end, days, days + HALF))
        self.centre_ = float(log_wait[~open_end].mean())
        own = np.arange(len(days)) if customers is None else customers
        typical = np.full(len(days), np.nan)
        for held in group_folds(own, self.n_folds, self.random_state):
            rest = ~held
            booster = self._boost(matrix[rest], log_wait[rest], open_end[rest])
            typical[held] = self._typical(booster, matrix[held])
        self.out_of_fold_ = typical
        self._fit_survival(log_wait, open_end, typical)
        self.booster_ = self._boost(matrix, log_wait, open_end)
        return self

    def predict(self, X: Any) -> Floats:
        """Days to the next order, given one within the horizon, shape (n,)."""
        return self.predict_wait(X).expected

    def predict_wait(self, X: Any, *, horizon_days: int | None = None) -> Wait:
        """Probability of a return, expected day and window; of another horizon if one is given."""
        check_is_fitted(self, "booster_")
        typical = self._typical(self.booster_, self.encoder_.transform(X))
        return self.wait_of(typical, horizon_days=horizon_days)

    def wait_of(self, typical: Floats, *, horizon_days: int | None = None) -> Wait:
        """The same from typical log waits, such as ``out_of_fold_``."""
        horizon = horizon_days or self.horizon_days
        tail = (1 - self.window) / 2
        parts = []
        for start in range(0, len(typical), CHUNK):
            returned = self.returned_by(typical[start : start + CHUNK], horizon)
            within = returned[:, -1]
            quantiles = [_first_day(returned, share * within) for share in (0.5, tail, 1 - tail)]
            parts.append((within, *quantiles))
        if not parts:
            return Wait(*(np.empty(0) for _ in range(4)))
        return Wait(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    def return_probability(self, X: Any, days: Any) -> Floats:
        """Probability of an order within so many days (a number, or one per row), shape (n,)."""
        check_is_fitted(self, "booster_")
        typical = self._typical(self.booster_, self.encoder_.transform(X))
        ahead = np.broadcast_to(np.asarray(days, dtype=np.float64), typical.shape)
        return self._returned(typical[:, None], ahead[:, None])[:, 0]

    def returned_by(self, typical: Floats, days: int) -> Floats:
        """Probability of an order within 1, 2, ..., ``days`` days, shape (n, days)."""
        return self._returned(typical[:, None], np.arange(1, days + 1, dtype=np.float64)[None, :])

    def _returned(self, typical: Floats, days: Floats) -> Floats:
        ratio = np.log(days) - typical
        group = np.searchsorted(self.edges_, typical[:, 0], side="right")
        # The grid is even: position and share of the way to the next point.
        place = np.clip((ratio - GRID[0]) / (GRID[1] - GRID[0]), 0, len(GRID) - 1.000001)
        left = place.astype(np.intp)
        part = place - left
        rows = group[:, None]
        lasting = self.survival_[rows, left] * (1 - part) + self.survival_[rows, left + 1] * part
        return np.asarray(1 - lasting, dtype=np.float64)

    def _fit_survival(self, log_wait: Floats, open_end: NDArray[np.bool_], typical: Floats) -> None:
        groups = int(np.clip((~open_end).sum() // self.min_returns, 1, self.max_groups))
        shares = np.arange(1, groups) / groups
        self.edges_ = np.unique(np.quantile(typical[~open_end], shares)) if groups > 1 else np.empty(0)
        group = np.searchsorted(self.edges_, typical, side="right")
        ratio = log_wait - typical
        self.survival_ = np.array(
            [
                survival_curve(ratio[group == g], ~open_end[group == g], GRID)
                for g in range(len(self.edges_) + 1)
            ]
        )

    def _boost(self, matrix: NDArray[np.float32], log_wait: Floats, open_end: NDArray[np.bool_]) -> bytes:
        threads = self._threads(len(matrix))
        wait = np.exp(log_wait)
        data = xgb.DMatrix(
            matrix,
            label_lower_bound=wait,
            label_upper_bound=np.where(open_end, np.inf, wait),
            base_margin=np.full(len(matrix), self.centre_, dtype=np.float32),
            nthread=threads,
        )
        params = {
            "objective": "survival:aft",
            "aft_loss_distribution": "normal",
            "aft_loss_distribution_scale": self.scale,
            "learning_rate": self.learning_rate,
            "max_depth": self.max_depth,
            "min_child_weight": self.min_child_weight,
            "subsample": self.subsample,
            "colsample_bytree": self.colsample,
            "reg_lambda": self.reg_lambda,
            "tree_method": "hist",
            "seed": self.random_state,
            "nthread": threads,
            "verbosity": 0,
        }
        return bytes(xgb.train(params, data, self.rounds).save_raw("ubj"))

    def _typical(self, stored: bytes, matrix: NDArray[np.float32]) -> Floats:
        threads = self._threads(len(matrix))
        booster = xgb.Booster({"nthread": threads})
        booster.load_model(bytearray(stored))
        margin = np.full(len(matrix), self.centre_, dtype=np.float32)
        data = xgb.DMatrix(matrix, base_margin=margin, nthread=threads)
        return np.asarray(booster.predict(data, output_margin=True), dtype=np.float64)

    def _threads(self, rows: int) -> int:
        return max(1, min(self.n_jobs or 1, rows // ROWS_PER_THREAD))

    def _check(self, days: Floats, open_end: NDArray[np.bool_]) -> None:
        if not 0 < self.window < 1:
            raise ValueError(f"window must be in (0, 1), got {self.window!r}")
        if self.horizon_days < 1 or self.n_folds < 2:
            raise ValueError(
                f"horizon_days must be at least 1 and n_folds 2, got {self.horizon_days} and {self.n_folds}"
            )
        if not (days >= 0).all() or (days[open_end] < 1).any():
            raise ValueError("days must be >= 0, and censored rows observed for at least one day")
        if open_end.all():
            raise ValueError("at least one customer must have come back, got none")
        if days.max() < self.horizon_days - 1:
            raise ValueError(
                f"some rows must have been observed for the horizon of {self.horizon_days} days, got at most "
                f"{days.max():g}: snapshots must reach back further"
            )

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        state.pop("out_of_fold_", None)  # rows of people have no place in a stored model
        return state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.target_tags.positive_only = True
        tags.regressor_tags.poor_score = True  # medians of waits, not means of any number
        return tags


def _first_day(returned: Floats, wanted: Floats) -> Floats:
    """First day (0 is ``as_of``) by whose end a share has returned, shape (n,)."""
    reached = returned >= np.minimum(wanted, returned[:, -1])[:, None]
    return np.asarray(reached.argmax(axis=1), dtype=np.float64)
