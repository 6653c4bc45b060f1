"""Fitting of the global models on a stack of past origins, each seen as the night would have seen it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import date
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import union_categoricals

from features.lags import origin_frame
from models.forecasting.boosted import GlobalForecaster
from models.forecasting.boosting import Kind
from models.forecasting.similar import SimilarForecaster
from pipelines.io.lake import Lake
from pipelines.usecases.demand.backtest import MISSION_MODELS
from pipelines.usecases.demand.dataset import Dataset, open_origin
from pipelines.usecases.demand.params import DemandParams

log = logging.getLogger(__name__)

#: Threads of the boosters.
_THREADS = 2

#: Rows of the registry's input example.
_EXAMPLE_ROWS = 5


def fit_boosters(
    lake: Lake, data: Dataset, origins: Sequence[date], params: DemandParams
) -> dict[str, GlobalForecaster | SimilarForecaster]:
    """Fit the global models on the days after past origins.

    The model of new products learns from the series that were young then.
    """
    X, y = training_stack(lake, data, origins, params)
    log.info("global models: %d rows, %d features, %d origins", len(X), X.shape[1], len(origins))
    boosting = params.boosting
    rate, seed = boosting.learning_rate, params.seed
    fitted: dict[str, GlobalForecaster | SimilarForecaster] = {
        kind: GlobalForecaster(
            kind=kind, rounds=boosting.rounds, learning_rate=rate, random_state=seed, n_jobs=_THREADS
        ).fit(X, y)
        for kind in get_args(Kind)
    }
    similar = SimilarForecaster(learning_rate=rate, random_state=seed, n_jobs=_THREADS)
    return {**fitted, MISSION_MODELS["new"]: similar.fit(X, y)}


def training_stack(
    lake: Lake, data: Dataset, origins: Sequence[date], params: DemandParams
) -> tuple[pd.DataFrame, NDArray[np.float64]]:
    """Features and sales of a sample of series and days ahead, for every origin.

    Days that were not reported, closed days and stock-outs are left out: the last are lower bounds, and a
    model that took them for the demand would learn that what runs out is not wanted.
    """
    share = params.boosting.max_rows // max(1, len(origins))
    frames, targets = [], []
    for day in origins:
        origin = open_origin(lake, data, day, horizon_days=params.horizon_days)
        actual, censored = data.panel.actuals(origin.day, params.horizon_days + 1)
        able = np.isfinite(actual) & ~censored & origin.panel.open[:, origin.panel.n_history :]
        rows, steps = np.nonzero(able)
        if len(rows) > share:
            rng = np.random.default_rng([params.seed, day.toordinal()])
            kept = np.sort(rng.permutation(len(rows))[:share])
            rows, steps = rows[kept], steps[kept]
        frames.append(
            origin_frame(
                origin.panel, origin.day, origin.panel.horizon, ahead=origin.ahead, cells=(rows, steps)
            )
        )
        targets.append(actual[rows, steps])
    return _stacked(frames), np.concatenate(targets).astype(np.float64)


def example_features(lake: Lake, data: Dataset, day: date, params: DemandParams) -> pd.DataFrame:
    """A few rows of features, for the registry's signature."""
    origin = open_origin(lake, data, day, horizon_days=params.horizon_days)
    rows = np.arange(min(_EXAMPLE_ROWS, len(data.profile)))
    cells = rows, np.ones(len(rows), dtype=np.intp)
    return origin_frame(origin.panel, origin.day, origin.panel.horizon, ahead=origin.ahead, cells=cells)


def _stacked(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Frames one below the other; words stay categories, whose lists may differ between origins."""
    columns: dict[str, Any] = {}
    for name in frames[0].columns:
        parts = [frame[name] for frame in frames]
        words = isinstance(parts[0].dtype, pd.CategoricalDtype)
        columns[name] = union_categoricals(parts) if words else np.concatenate(parts)
    return pd.DataFrame(columns, copy=False)
