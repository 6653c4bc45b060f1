"""The rolling-origin backtest: what every model would have forecast, and what was sold."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.forecasting.accuracy import naive_scale
from models.forecasting.aggregate import aggregate
from models.forecasting.competition import Backtest, Champion, compete
from models.forecasting.forecaster import DemandForecaster, cells_of
from models.forecasting.panel import Mask, Matrix
from pipelines.engines import Engine
from pipelines.usecases.demand.coherence import SUMMED, UPPER_LEVELS, Past
from pipelines.usecases.demand.dataset import Dataset, Origin, level_sums, nodes_of
from pipelines.usecases.demand.forecasting import fallbacks_at, orders_of_series, run_local, run_models, serve
from pipelines.usecases.demand.params import DemandParams
from pipelines.usecases.demand.schemas import HORIZONS

log = logging.getLogger(__name__)

#: Reference model of each segment; it competes in all cells of its segment.
MISSION_MODELS = {"stable": "sarima", "seasonal": "prophet", "new": "similar_xgboost", "promo": "xgboost"}

#: Models fitted one by one that compete, by how often the series of the cell sell.
LOCAL_CANDIDATES = {"regular": ("seasonal_naive", "ets"), "sparse": ("seasonal_naive", "tsb")}

#: Models that compete for the nodes above the series, beside their sums.
LEVEL_CANDIDATES = ("ets", "prophet")

_LOCAL = {name for names in LOCAL_CANDIDATES.values() for name in names} | {"sarima", "prophet"}


def candidates_of(cell: str, boosters: Sequence[str]) -> list[str]:
    """Models that compete in a cell: those of its kind, the global ones, and the mission's."""
    segment, _, regularity = cell.partition("/")
    names = {*LOCAL_CANDIDATES[regularity], MISSION_MODELS[segment]}
    names |= {name for name in boosters if name != MISSION_MODELS["new"] or segment == "new"}
    return sorted(names)


def sample_of(profile: pd.DataFrame, size: int, seed: int) -> NDArray[np.intp]:
    """Rows on which all models compete: up to ``size`` series of each cell, without fallback series."""
    rng = np.random.default_rng(seed)
    able = np.flatnonzero(profile["fallback"].isna().to_numpy())
    cells = cells_of(profile)[able]
    chosen = []
    for cell in np.unique(cells):
        rows = able[cells == cell]
        chosen.append(rng.permutation(rows)[:size])
    return np.sort(np.concatenate(chosen)) if chosen else able


def hold_competition(
    data: Dataset,
    origins: Sequence[date],
    *,
    boosters: Mapping[str, Any],
    orders: Mapping[str, str],
    params: DemandParams,
    engine: Engine,
) -> tuple[dict[str, Champion], pd.DataFrame]:
    """Let all models forecast the sample from past origins; the best of each cell is its champion."""
    profile = data.profile
    rows = sample_of(profile, params.backtest.local_series, params.seed)
    cells = cells_of(profile)
    wanted: dict[str, list[int]] = {}
    for row in rows:
        for name in candidates_of(str(cells[row]), list(boosters)):
            if name in boosters or name in _LOCAL:
                wanted.setdefault(name, []).append(int(row))
    asked = {name: np.array(chosen, dtype=np.intp) for name, chosen in wanted.items()}
    parts: list[tuple[NDArray[Any], NDArray[Any], dict[str, NDArray[Any]]]] = []
    seconds: dict[str, list[float]] = {}
    for day in origins:
        origin = data.open(day)
        answers = run_models(
            origin, asked, boosters=boosters, orders=orders_of_series(profile, orders), engine=engine
        )
        actual, censored = _came(data, origin)
        parts.append((actual[rows], censored[rows], {m: a.units[rows, 1:] for m, a in answers.items()}))
        for model, answer in answers.items():
            seconds.setdefault(model, []).append(answer.seconds)
        log.info("competition from %s: %d models on %d series", day, len(answers), len(rows))
    return compete(
        Backtest(
            actual=np.concatenate([part[0] for part in parts]),
            censored=np.concatenate([part[1] for part in parts]),
            forecasts={model: np.concatenate([part[2][model] for part in parts]) for model in asked},
            cells=np.tile(cells[rows].astype(str), len(parts)),
            series=np.tile(rows, len(parts)),
            scale=np.tile(naive_scale(data.panel.y[rows]), len(parts)),
            seconds={model: float(np.mean(each)) for model, each in seconds.items()},
        ),
        tolerance=params.backtest.tolerance,
        max_seconds=params.backtest.max_seconds_per_series,
        horizons=[h for h in HORIZONS if h <= data.horizon_days],
    )


def replay(
    data: Dataset,
    origins: Sequence[date],
    forecaster: DemandForecaster,
    *,
    params: DemandParams,
    engine: Engine,
) -> Iterator[Past]:
    """Forecast all series from past origins as the night would have done."""
    orders = orders_of_series(data.profile, forecaster.orders or {})
    for day in origins:
        origin = data.open(day)
        fallbacks = fallbacks_at(origin, params.features.short_days)
        found = serve(origin, data.profile, forecaster, fallbacks=fallbacks, orders=orders, engine=engine)
        begun = _begun(origin)
        actual, censored = _came(data, origin)
        units = np.where(begun[:, None], found.units, np.float32(0))
        yield Past(day, begun, actual, censored, units[:, 1:])


def _came(data: Dataset, origin: Origin) -> tuple[Matrix, Mask]:
    """What was sold on the published days; unknown for products that were not on sale at the origin.

    The night would not have forecast these.
    """
    actual, censored = data.panel.actuals(origin.day, data.horizon_days + 1)
    return np.where(_begun(origin)[:, None], actual, np.float32("nan"))[:, 1:], censored[:, 1:]


def _begun(origin: Origin) -> NDArray[np.bool_]:
    """Series that were on sale before the origin."""
    return np.asarray(np.any(np.isfinite(origin.panel.y), axis=1))


def compete_for_levels(
    data: Dataset, past: Sequence[Past], engine: Engine
) -> tuple[dict[str, Champion], pd.DataFrame]:
    """Choose what forecasts the nodes of each level above the series: their sum, or a model of their own."""
    champions: dict[str, Champion] = {}
    tables = []
    for level in UPPER_LEVELS:
        nodes = nodes_of(data.profile, level)
        whole = aggregate(data.panel, nodes)
        count = len(whole)
        forecasts: dict[str, list[NDArray[Any]]] = {SUMMED: []}
        actuals: list[NDArray[Any]] = []
        seconds = {SUMMED: 0.0}
        for one in past:
            seen = aggregate(data.open(one.origin).panel, nodes)
            asked = {model: np.arange(count) for model in LEVEL_CANDIDATES}
            for model, answer in run_local(seen, asked, orders=None, engine=engine).items():
                forecasts.setdefault(model, []).append(answer.units[:, 1:])
                seconds[model] = answer.seconds
            forecasts[SUMMED].append(level_sums(data.profile, one.units, level))
            actuals.append(whole.actuals(np.datetime64(one.origin, "D"), data.horizon_days + 1)[0][:, 1:])
        actual = np.concatenate(actuals)
        found, table = compete(
            Backtest(
                actual=actual,
                censored=np.zeros(actual.shape, dtype=bool),
                forecasts={model: np.concatenate(each) for model, each in forecasts.items()},
                cells=np.full(len(actual), f"level:{level}"),
                series=np.tile(np.arange(count), len(past)),
                scale=np.tile(naive_scale(whole.y), len(past)),
                seconds=seconds,
            ),
            tolerance=0.0,
            max_seconds=np.inf,
            horizons=[h for h in HORIZONS if h <= data.horizon_days],
            averages=False,
        )
        champions[level] = found[f"level:{level}"]
        tables.append(table)
    return champions, pd.concat(tables, ignore_index=True)
