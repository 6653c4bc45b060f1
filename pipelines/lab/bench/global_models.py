"""The global models as benches run them on public data: fitted on past origins, averaged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.lags import origin_frame, sample_cells
from models.forecasting.boosted import GlobalForecaster
from models.forecasting.boosting import Kind
from models.forecasting.panel import Panel

Floats = NDArray[np.float64]

_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class GlobalAverage:
    """LightGBM and XGBoost on the same features, averaged on the log scale.

    Attributes
    ----------
    models : dict of str to GlobalForecaster
    factor : float
        On all forecasts.
    follow_season : bool
        As in :func:`features.lags.origin_frame`.
    """

    models: dict[str, GlobalForecaster]
    factor: float = 1.0
    follow_season: bool = True

    @classmethod
    def fit(
        cls, X: pd.DataFrame, y: Floats, settings: Mapping[str, Any], *, follow_season: bool = True
    ) -> GlobalAverage:
        """Fit both with the same settings."""
        models = {kind: GlobalForecaster(kind, **settings).fit(X, y) for kind in get_args(Kind)}
        return cls(models, follow_season=follow_season)

    def forecast(self, panel: Panel, first: np.datetime64, horizon: int) -> Floats:
        """Units of ``horizon`` days from ``first`` on, shape (n, horizon); 0 where the store is closed."""
        start = int((first - panel.days[0]) / _DAY)
        closed = ~panel.open[:, start : start + horizon]
        X = origin_frame(panel, first, horizon, follow_season=self.follow_season)
        logs = np.mean([np.log(model.predict(X)) for model in self.models.values()], axis=0)
        return np.where(closed, 0.0, self.factor * np.exp(logs).reshape(closed.shape))


def weekly(first: np.datetime64, before: np.datetime64) -> list[np.datetime64]:
    """Days a week apart that end a week before ``before``, from ``first`` on; oldest first."""
    found = []
    day = before - 7
    while day >= first:
        found.append(day)
        day = day - 7
    return found[::-1]


def training_stack(
    panel: Panel,
    origins: Sequence[np.datetime64],
    horizon: int,
    *,
    before: np.datetime64,
    share: float = 1.0,
    seed: int = 0,
    follow_season: bool = True,
) -> tuple[pd.DataFrame, Floats]:
    """Features and sales of the days after past origins, of those before ``before``.

    Closed days, days without report and stock-outs are left out.

    Parameters
    ----------
    share
        Share of the rows, drawn at random.
    follow_season
        As in :func:`features.lags.origin_frame`.
    """
    frames, targets = [], []
    for origin in origins:
        start = int((origin - panel.days[0]) / _DAY)
        days = min(horizon, len(panel.days) - start)
        actual, censored = panel.actuals(origin, days)
        wanted = np.isfinite(actual) & ~censored & panel.open[:, start : start + days]
        wanted[:, max(0, int((before - origin) / _DAY)) :] = False
        cells = sample_cells(wanted, origin, share, seed)
        frames.append(origin_frame(panel, origin, days, cells=cells, follow_season=follow_season))
        targets.append(actual[cells])
    return pd.concat(frames, ignore_index=True), np.concatenate(targets).astype(np.float64)
