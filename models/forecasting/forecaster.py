"""What serves after a backtest: global models, champions, cached orders and intervals, in one object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from models.forecasting.competition import Champion

#: Patterns of demand with many days without sales (Syntetos and Boylan).
SPARSE_PATTERNS = ("intermittent", "lumpy")

#: Serves a series of a cell that no backtest has seen.
DEFAULT_MODELS = ("seasonal_naive",)


def cells_of(profile: pd.DataFrame) -> NDArray[np.object_]:
    """Group within which models compete, by series: its segment, and whether it sells most days.

    Parameters
    ----------
    profile
        ``segment`` and ``pattern`` of each series.
    """
    regularity = np.where(profile["pattern"].isin(SPARSE_PATTERNS), "sparse", "regular")
    return np.asarray(profile["segment"].astype(str) + "/" + regularity, dtype=object)


def clusters_of(profile: pd.DataFrame) -> list[str]:
    """Cluster of each series, for which a SARIMA order is cached: products of a category that sell alike."""
    return [
        f"{category}/{cell}" for category, cell in zip(profile["category"], cells_of(profile), strict=True)
    ]


def known_features(model: Any, X: pd.DataFrame) -> pd.DataFrame:
    """Columns that a fitted model learned from; a longer history has features that it does not know."""
    return X.reindex(columns=model.feature_names_in_)


class DemandForecaster(BaseEstimator):  # type: ignore[misc]
    """The models of one training run.

    Parameters
    ----------
    boosters : dict of str to fitted global model
        By name; each predicts from a frame of features.
    champions : dict of str to sequence of str
        Models that serve each cell; the forecasts of several are averaged.
    words : dict of str to str
        Why, by cell.
    levels : dict of str to str
        Model that forecasts the nodes of each level above the series.
    orders : dict of str to str
        SARIMA order of each cluster of series.
    intervals : object
        Conformal intervals by level.
    sums : object
        Distribution of the demand of several days together, which orders rest on.
    """

    def __init__(
        self,
        boosters: Mapping[str, Any] | None = None,
        champions: Mapping[str, Sequence[str]] | None = None,
        words: Mapping[str, str] | None = None,
        levels: Mapping[str, str] | None = None,
        orders: Mapping[str, str] | None = None,
        intervals: Any = None,
        sums: Any = None,
    ) -> None:
        self.boosters = boosters
        self.champions = champions
        self.words = words
        self.levels = levels
        self.orders = orders
        self.intervals = intervals
        self.sums = sums

    @classmethod
    def of(
        cls,
        boosters: Mapping[str, Any],
        champions: Mapping[str, Champion],
        levels: Mapping[str, Champion],
        orders: Mapping[str, str],
        intervals: Any,
    ) -> DemandForecaster:
        """Put together what a backtest found."""
        return cls(
            boosters=dict(boosters),
            champions={cell: list(champion.models) for cell, champion in champions.items()},
            words={cell: champion.words for cell, champion in champions.items()},
            levels={level: champion.name for level, champion in levels.items()},
            orders=dict(orders),
            intervals=intervals,
        )

    def models_of(self, cell: str) -> tuple[str, ...]:
        """Models that serve a cell; those of another cell of its segment, else the default, if it is new."""
        champions = self.champions or {}
        if cell in champions:
            return tuple(champions[cell])
        segment = cell.partition("/")[0]
        kin = sorted(name for name in champions if name.partition("/")[0] == segment)
        return tuple(champions[kin[0]]) if kin else DEFAULT_MODELS

    def orders_of(self, profile: pd.DataFrame) -> list[str]:
        """SARIMA order of each series by its cluster; ``""``, the default, for a cluster not searched."""
        return [(self.orders or {}).get(cluster, "") for cluster in clusters_of(profile)]

    def predict(self, X: pd.DataFrame) -> NDArray[np.float64]:
        """Mean of the global models, for rows of features: what a client of the registry can ask for."""
        predictions = [model.predict(known_features(model, X)) for model in (self.boosters or {}).values()]
        return np.asarray(np.mean(predictions, axis=0), dtype=np.float64)
