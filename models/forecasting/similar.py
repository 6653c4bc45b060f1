"""New products: by similar ones at first, by their own sales as these come, and trees on top."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from models.forecasting.accuracy import poisson_deviance
from models.forecasting.boosted import EXPECTED, SMALLEST, GlobalForecaster
from models.forecasting.boosting import Kind

Floats = NDArray[np.float64]

#: Days of evidence at which a series' own sales, and its product's in other stores, weigh half.
DAYS_TRIED = (2.0, 4.0, 8.0, 16.0, 32.0, 64.0)

#: Used where no past launch can tell.
USUAL_DAYS = (8.0, 32.0)

#: Rows of young series below which nothing is learnt from them.
LEAST_ROWS = 200


class SimilarForecaster(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Forecast young series from three sources whose weights shift as evidence comes.

    The median of similar products serves first. The same product's sales in other stores replace it by
    ``n / (n + k)`` for n known store days, then the series' own sales replace both, in the same way. Both k are chosen by
    the Poisson deviance on the young series of past origins. On top, boosted trees learn what the blend misses.

    Rows of series that are not young (their ``similar_peers`` is missing) are forecast from ``expected``.

    Parameters
    ----------
    boost : bool
        Whether trees correct the blend; without, it is the forecast.
    kind : {"xgboost", "lightgbm"}
        Library of the trees.
    rounds, learning_rate, leaves, min_rows_in_leaf : see :class:`GlobalForecaster`
        Smaller than for all series together: young ones are few.
    max_rows : int, optional
        Most rows to fit on.
    random_state, n_jobs : see :class:`GlobalForecaster`

    Attributes
    ----------
    sku_days_, own_days_ : float
        The two k, in days.
    evidence_ : dict of str to float
        Deviance per row of each pair tried, by ``"<sku_days>/<own_days>"``; empty without past launches.
    trees_ : GlobalForecaster or None
    feature_names_in_ : ndarray of str
        Columns of the features it was fitted on.
    """

    def __init__(
        self,
        *,
        boost: bool = True,
        kind: Kind = "xgboost",
        rounds: int = 150,
        learning_rate: float = 0.06,
        leaves: int = 15,
        min_rows_in_leaf: int = 50,
        max_rows: int | None = None,
        random_state: int = 0,
        n_jobs: int | None = None,
    ) -> None:
        self.boost = boost
        self.kind = kind
        self.rounds = rounds
        self.learning_rate = learning_rate
        self.leaves = leaves
        self.min_rows_in_leaf = min_rows_in_leaf
        self.max_rows = max_rows
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X: pd.DataFrame, y: Any, sample_weight: Any = None) -> Self:
        """Choose the weights and fit the trees on the young series among the rows of past origins.

        Parameters
        ----------
        X : DataFrame
            Features with the columns ``similar_*`` and ``expected``; rows of older series are left out.
        y : array-like of shape (n,)
            Units sold; stock-outs and unreported days left out.
        sample_weight : array-like of shape (n,), optional

        Raises
        ------
        ValueError
            The columns on similar products are missing.
        """
        _check_columns(X)
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        young = X["similar_peers"].notna().to_numpy()
        rows, target = X[young], np.asarray(y, dtype=np.float64)[young]
        weight = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)[young]
        self.sku_days_, self.own_days_ = USUAL_DAYS[1], USUAL_DAYS[0]
        self.evidence_: dict[str, float] = {}
        self.trees_: GlobalForecaster | None = None
        if len(rows) < LEAST_ROWS:
            return self
        tried = {}
        for sku_days in DAYS_TRIED:
            for own_days in DAYS_TRIED:
                deviance = poisson_deviance(target, blend(rows, sku_days, own_days))
                loss = float(np.average(deviance, weights=weight))
                tried[sku_days, own_days] = loss
                self.evidence_[f"{sku_days:g}/{own_days:g}"] = loss
        self.sku_days_, self.own_days_ = min(tried, key=lambda pair: (tried[pair], pair))
        if self.boost:
            self.trees_ = GlobalForecaster(
                kind=self.kind,
                objective="poisson",
                rounds=self.rounds,
                learning_rate=self.learning_rate,
                leaves=self.leaves,
                min_rows_in_leaf=self.min_rows_in_leaf,
                max_rows=self.max_rows,
                random_state=self.random_state,
                n_jobs=self.n_jobs,
            ).fit(self._blended(rows), target, sample_weight=weight)
        return self

    def predict(self, X: pd.DataFrame) -> Floats:
        """Units of each row, shape (n,)."""
        check_is_fitted(self, "sku_days_")
        _check_columns(X)
        if self.trees_ is not None:
            return self.trees_.predict(self._blended(X))
        return self._blended(X)[EXPECTED].to_numpy(dtype=np.float64)

    def _blended(self, X: pd.DataFrame) -> pd.DataFrame:
        """Features that start from the blend, and say how it differs from what was expected."""
        usual = X[EXPECTED].to_numpy(dtype=np.float64)
        mixed = blend(X, self.sku_days_, self.own_days_)
        start = np.maximum(np.where(np.isfinite(mixed), mixed, usual), SMALLEST)
        ratio = np.log(start / np.maximum(usual, SMALLEST))
        return X.assign(**{EXPECTED: start.astype(np.float32), "blend_ratio": ratio.astype(np.float32)})


def blend(X: pd.DataFrame, sku_days: float, own_days: float) -> Floats:
    """Units by the three sources: similar products, the product elsewhere, the series itself.

    Parameters
    ----------
    sku_days, own_days
        Days of evidence at which the second source weighs as much as the first, and the third as the other
        two.
    """
    mixed = X["similar_peers"].to_numpy(dtype=np.float64)
    for source, k in (("sku", sku_days), ("own", own_days)):
        days = np.nan_to_num(X[f"similar_{source}_days"].to_numpy(dtype=np.float64))
        units = X[f"similar_{source}"].to_numpy(dtype=np.float64)
        weight = np.where(np.isfinite(units), days / (days + k), 0.0)
        mixed = (1 - weight) * mixed + weight * np.nan_to_num(units)
    return mixed


def _check_columns(X: pd.DataFrame) -> None:
    needed = [EXPECTED, "similar_peers", "similar_sku", "similar_own", "similar_sku_days", "similar_own_days"]
    missing = [name for name in needed if name not in X]
    if missing:
        raise ValueError(f"X must have the features on similar products, missing {missing}")
