"""Global models: boosted trees over many series, one row per series, origin and day ahead."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from models.forecasting.boosting import (
    KINDS,
    OBJECTIVES,
    ROWS_PER_THREAD,
    Boosting,
    Kind,
    Objective,
    Rows,
    boost,
    raw_scores,
)
from models.forecasting.matrix import FeatureMatrix

Floats = NDArray[np.float64]

#: Column with the units that a row is expected to sell, from which boosting starts.
EXPECTED = "expected"

#: Least units a rate can be: keeps logs finite.
SMALLEST = 1e-4


class GlobalForecaster(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Boosted trees that forecast the units of any series on any day ahead.

    Direct: the day ahead is a feature, and one model serves all of them. What it learns is the ratio to
    the column ``expected`` (level x weekday x promotion x season, made from the past), so that kiosks
    and supermarkets teach each other.

    Parameters
    ----------
    kind : {"lightgbm", "xgboost"}
        Library.
    objective : {"poisson", "tweedie", "log"}
        ``poisson`` and ``tweedie`` forecast the mean and take days without sales; ``log`` minimises
        squared errors of logs, needs positive targets, and forecasts a median until
        :meth:`fit_factor` corrects it.
    tweedie_power : float in (1, 2)
        Of the variance; near 1 like Poisson, near 2 like gamma.
    rounds : int
        Trees of a booster.
    learning_rate : float in (0, 1]
    leaves : int
        Most leaves of a tree.
    min_rows_in_leaf : int
        Fewest rows (LightGBM) or least sum of second derivatives (XGBoost) in a leaf.
    subsample, colsample : float in (0, 1]
        Share of rows and columns drawn for each tree.
    reg_lambda : float
        L2 penalty on leaf values.
    n_models : int
        Boosters with different seeds, averaged on the log scale.
    max_rows : int, optional
        Most rows to fit on; a deterministic sample of more.
    random_state : int
        Seed of everything drawn.
    n_jobs : int, optional
        Most threads; None means 1. LightGBM's results do not depend on it; XGBoost's may in the last digits.

    Attributes
    ----------
    encoder_ : FeatureMatrix
    boosters_ : list of bytes
        In the library's own format.
    scale_ : float
        Units expected of each row where the features do not say: the mean target.
    factor_ : float
        Forecasts are multiplied by it; 1 unless :meth:`fit_factor` was called.
    """

    def __init__(
        self,
        kind: Kind = "lightgbm",
        *,
        objective: Objective = "poisson",
        tweedie_power: float = 1.2,
        rounds: int = 400,
        learning_rate: float = 0.06,
        leaves: int = 63,
        min_rows_in_leaf: int = 100,
        subsample: float = 0.6,
        colsample: float = 0.5,
        reg_lambda: float = 5.0,
        n_models: int = 1,
        max_rows: int | None = None,
        random_state: int = 0,
        n_jobs: int | None = None,
    ) -> None:
        self.kind = kind
        self.objective = objective
        self.tweedie_power = tweedie_power
        self.rounds = rounds
        self.learning_rate = learning_rate
        self.leaves = leaves
        self.min_rows_in_leaf = min_rows_in_leaf
        self.subsample = subsample
        self.colsample = colsample
        self.reg_lambda = reg_lambda
        self.n_models = n_models
        self.max_rows = max_rows
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit on rows of past origins.

        Parameters
        ----------
        X : DataFrame or array of shape (n, n_features)
            Numbers and words; missing values allowed. If it has a column ``expected``, boosting starts
            from it.
        y : array-like of shape (n,)
            Units sold, not negative. Leave out rows of stock-outs: they are lower bounds.
        sample_weight : array-like of shape (n,), optional

        Raises
        ------
        ValueError
            A parameter is out of range, or a target is negative (or zero, with the objective ``log``).
        """
        self._check_parameters()
        X, y = self._validated(X, y)
        weight = None if sample_weight is None else _check_sample_weight(sample_weight, y, dtype=np.float64)
        kept = self._sample(weight if weight is not None else np.ones(len(y)))
        if len(kept) < len(y):
            X = X.iloc[kept] if isinstance(X, pd.DataFrame) else X[kept]
            y, weight = y[kept], None if weight is None else weight[kept]
        self._check_target(y)
        self.encoder_ = FeatureMatrix().fit(X)
        self.n_features_in_ = self.encoder_.n_features_in_
        self.scale_ = max(float(np.average(y, weights=weight)), SMALLEST)
        self.factor_ = 1.0
        offset = np.log(self._expected(X, len(y)))
        rows = Rows(
            matrix=self.encoder_.transform(X),
            target=np.log(y) - offset if self.objective == "log" else y,
            offset=np.zeros(len(y)) if self.objective == "log" else offset,
            weight=weight,
            words=tuple(sorted(self.encoder_.words_)),
        )
        self.boosters_ = [
            boost(self.kind, rows, self._size(len(y), self.random_state + k)) for k in range(self.n_models)
        ]
        return self

    def predict(self, X: Any) -> Floats:
        """Units of each row, shape (n,); never negative."""
        check_is_fitted(self, "boosters_")
        matrix = self.encoder_.transform(X)
        words = tuple(sorted(self.encoder_.words_))
        score = raw_scores(self.kind, self.boosters_, matrix, words, self._threads(len(matrix)))
        return np.asarray(np.exp(score) * self._expected(X, len(matrix)) * self.factor_, dtype=np.float64)

    def fit_factor(self, X: Any, y: Any, loss: Literal["units", "percentage"] = "units") -> Self:
        """Choose the factor on all forecasts that is best on rows the trees have not seen.

        Parameters
        ----------
        X, y
            Rows of later origins than those of :meth:`fit`, earlier than those to be judged on.
        loss : {"units", "percentage"}
            ``units`` makes the sum of the forecasts right; ``percentage`` minimises the squared
            percentage error, which punishes forecasts that are too high more than too low ones.
        """
        actual = np.asarray(y, dtype=np.float64)
        forecast = self.predict(X) / self.factor_
        if loss == "units":
            self.factor_ = float(actual.sum() / forecast.sum())
        else:
            ratio = forecast[actual > 0] / actual[actual > 0]
            self.factor_ = float(ratio.sum() / (ratio**2).sum())
        return self

    def _expected(self, X: Any, rows: int) -> Floats:
        if isinstance(X, pd.DataFrame) and EXPECTED in X.columns:
            return np.asarray(np.maximum(X[EXPECTED].to_numpy(dtype=np.float64), SMALLEST))
        return np.full(rows, self.scale_)

    def _sample(self, weight: Floats) -> NDArray[np.intp]:
        """Positions of the rows to fit on, in order; rows without weight teach nothing."""
        able = np.flatnonzero(weight > 0)
        if self.max_rows is None or len(able) <= self.max_rows:
            return able
        drawn = np.random.default_rng(self.random_state).permutation(len(able))[: self.max_rows]
        kept: NDArray[np.intp] = able[np.sort(drawn)]
        return kept

    def _threads(self, rows: int) -> int:
        return max(1, min(self.n_jobs or 1, rows // ROWS_PER_THREAD))

    def _size(self, rows: int, seed: int) -> Boosting:
        return Boosting(
            objective=self.objective,
            tweedie_power=self.tweedie_power,
            rounds=self.rounds,
            learning_rate=self.learning_rate,
            leaves=self.leaves,
            min_rows_in_leaf=self.min_rows_in_leaf,
            subsample=self.subsample,
            colsample=self.colsample,
            reg_lambda=self.reg_lambda,
            seed=seed,
            threads=self._threads(rows),
        )

    def _validated(self, X: Any, y: Any) -> tuple[Any, Floats]:
        if isinstance(X, pd.DataFrame):
            _, target = validate_data(self, X, y, skip_check_array=True)
            target = np.asarray(y, dtype=np.float64)
        else:
            X, target = validate_data(
                self, X, y, dtype="numeric", ensure_all_finite="allow-nan", y_numeric=True
            )
        if not np.isfinite(target).all():
            raise ValueError("y must be finite: rows whose store has not reported must be left out")
        return X, np.asarray(target, dtype=np.float64)

    def _check_target(self, y: Floats) -> None:
        least = y.min()
        if least < 0 or (self.objective == "log" and least <= 0):
            rule = "positive for the objective 'log'" if self.objective == "log" else "not negative"
            raise ValueError(f"y must be {rule}, got {least:g}")

    def _check_parameters(self) -> None:
        for name, allowed in (("kind", KINDS), ("objective", OBJECTIVES)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {allowed}, got {getattr(self, name)!r}")
        for name in ("learning_rate", "subsample", "colsample"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in (0, 1], got {getattr(self, name)!r}")
        if not 1 < self.tweedie_power < 2:
            raise ValueError(f"tweedie_power must be in (1, 2), got {self.tweedie_power!r}")
        for name, least in (("rounds", 1), ("n_models", 1), ("leaves", 2), ("min_rows_in_leaf", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)!r}")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.target_tags.positive_only = True
        return tags
