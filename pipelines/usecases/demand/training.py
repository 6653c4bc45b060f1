"""Training: the weekly rolling-origin backtest, from which champions, orders and intervals come.

Past days play three parts, in order of time. On the oldest origins the global models learn; on the next
ones all models compete and the intervals are calibrated; on the newest the whole is judged, which nothing
was chosen by. What is judged then learns from all of these days before it serves: eleven weeks are a season.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import union_categoricals
from sklearn.base import clone

from models.forecasting.accuracy import naive_scale
from models.forecasting.aggregate import aggregate
from models.forecasting.boosted import GlobalForecaster
from models.forecasting.boosting import Kind
from models.forecasting.competition import Backtest, Champion, compete, fault
from models.forecasting.forecaster import DemandForecaster, cells_of, clusters_of
from models.forecasting.levels import Past, calibrate, level_sums, nodes_of
from models.forecasting.local import LOCAL_MODELS, orders_of, search_orders
from models.forecasting.local.routing import fallbacks_at
from models.forecasting.panel import Mask, Matrix
from models.forecasting.similar import SimilarForecaster
from models.forecasting.sums import calibrate_sums
from pipelines.engines import Engine, engine_of
from pipelines.measure import Stopwatch
from pipelines.usecase import Run, Trained
from pipelines.usecases.demand.dataset import Dataset, Origin
from pipelines.usecases.demand.params import DemandParams, Origins
from pipelines.usecases.demand.records import Results, model_card, tables_of
from pipelines.usecases.demand.schemas import (
    INTERVAL_LEVELS,
    INTERVALS,
    MISSION_MODELS,
    SUMMED,
    UPPER_LEVELS,
    horizons_within,
)
from pipelines.usecases.demand.scoring import run_boosters, run_local, run_models, serve

log = logging.getLogger(__name__)

Boosters = Mapping[str, GlobalForecaster | SimilarForecaster]

#: Models fitted one by one that compete, by how often the series of the cell sell.
LOCAL_CANDIDATES = {"regular": ("seasonal_naive", "ets"), "sparse": ("seasonal_naive", "tsb")}

#: Models that compete for the nodes above the series, beside their sums.
LEVEL_CANDIDATES = ("ets", "prophet")

#: Threads of the boosters.
_THREADS = 2

#: Rows of the registry's input example.
_EXAMPLE_ROWS = 5


def fit(run: Run[DemandParams], data: Dataset, champion: DemandForecaster | None) -> Trained:
    """Hold the backtest of the day; what won is the challenger."""
    params, watch = run.params, Stopwatch()
    origins = Origins.of(run.as_of, params).known_from(data.first_day)
    with engine_of(params.engine, run.settings, **params.engine_options) as engine:
        results = _backtest(data, origins, params, engine, watch, champion)
    with watch.phase("tables"):
        tables, summary = tables_of(data, results)
    return Trained(
        model=results.forecaster,
        example=example_features(data.open(origins.judging[-1])),
        card=model_card(
            as_of=run.as_of, params=params, origins=origins, data=data, results=results, summary=summary
        ),
        tables=tables,
        metrics={**summary, **{f"seconds.{name}": value for name, value in watch.seconds.items()}},
        predict="predict",
        record={
            "series": len(data.profile),
            "champions": {cell: champion.name for cell, champion in sorted(results.champions.items())},
            "levels": {level: champion.name for level, champion in results.level_champions.items()},
            **{name: round(value, 4) for name, value in summary.items() if np.isfinite(value)},
            "seconds": {name: round(seconds, 1) for name, seconds in watch.seconds.items()},
        },
    )


def _backtest(
    data: Dataset,
    origins: Origins,
    params: DemandParams,
    engine: Engine,
    watch: Stopwatch,
    champion: DemandForecaster | None,
) -> Results:
    sample = Sample(data, origins, params)
    with watch.phase("boosters"):
        boosters = fit_boosters(global_models(params), sample, origins.training)
    with watch.phase("orders"):
        searched = _search(data, origins.selection[0], engine)
    with watch.phase("competition"):
        champions, table = _hold_competition(data, origins.selection, boosters, searched, params, engine)
    served = {name for champion in champions.values() for name in champion.models}
    kept = {name: model for name, model in boosters.items() if name in served} or boosters
    orders = dict(zip(searched["cluster"].astype(str), searched["order"].astype(str), strict=True))
    forecaster = DemandForecaster.of(kept, champions, {}, orders, None)

    def nights(days: list[date], models: DemandForecaster) -> list[Past]:
        return [_replay(data, day, models, params, engine) for day in days]

    with watch.phase("calibration"):
        chosen = nights(origins.selection, forecaster)
        levels, level_table = _compete_for_levels(data, chosen, params, engine)
        forecaster.levels = {level: champion.name for level, champion in levels.items()}
        forecaster.intervals = calibrate(chosen, data.profile, INTERVAL_LEVELS, INTERVALS)
        forecaster.sums = calibrate_sums(chosen, data.profile)
    with watch.phase("judging"):
        naive = DemandForecaster(champions={cell: ["seasonal_naive"] for cell in champions})
        candidates = {"challenger": forecaster, "seasonal_naive": naive}
        candidates |= {"champion": champion} if champion is not None else {}
        judging = {name: nights(origins.judging, models) for name, models in candidates.items()}
    with watch.phase("refit"):
        forecaster.boosters = _refitted(kept, sample, origins)
    return Results(
        forecaster=forecaster,
        champions=champions,
        level_champions=levels,
        table=pd.concat([table, level_table], ignore_index=True),
        searched=searched,
        selection=chosen,
        judging=judging,
    )


# ------------------------------------------------------------------------------- learning and orders


def global_models(params: DemandParams) -> Boosters:
    """Global models that compete, not fitted yet."""
    size, seed = params.boosting, params.seed
    rate = size.learning_rate
    return {
        **{
            kind: GlobalForecaster(
                kind=kind,
                rounds=size.rounds,
                learning_rate=rate,
                max_rows=None if kind == params.backtest.default else size.other_rows,
                random_state=seed,
                n_jobs=_THREADS,
            )
            for kind in get_args(Kind)
        },
        MISSION_MODELS["new"]: SimilarForecaster(learning_rate=rate, random_state=seed, n_jobs=_THREADS),
    }


def fit_boosters(models: Boosters, sample: Sample, origins: Sequence[date]) -> Boosters:
    """Fit global models on the days after past origins.

    The model of new products learns from the series that were young then.
    """
    X, y = sample.of(origins)
    log.info("global models: %d rows, %d features, %d origins", len(X), X.shape[1], len(origins))
    return {name: clone(model).fit(X, y) for name, model in models.items()}


def _refitted(judged: Boosters, sample: Sample, origins: Origins) -> Boosters:
    """The models that were judged, learnt anew from all past days, the judged ones included.

    One that the newest days show to be broken is left as it was judged.
    """
    data, origin = sample.data, sample.data.open(origins.judging[-1])
    begun, actual, censored = _came(data, origin)
    rows = np.flatnonzero(begun)
    found = {}
    for name, model in fit_boosters(judged, sample, origins.all).items():
        units = run_boosters(origin, {name: rows}, {name: model})[name].units[rows, 1:]
        fault_ = fault(actual[rows], censored[rows], rows, units)
        if fault_:
            log.error("%s, learnt anew, %s: it stays as it was judged", name, fault_)
        found[name] = judged[name] if fault_ else model
    return found


class Sample:
    """Features and sales of a sample of series and days ahead, by past origin.

    Each origin's rows are made once: the models that are judged and those that serve learn from the same.

    Days that were not reported, closed days and stock-outs are left out: the last are lower bounds, and a
    model that took them for the demand would learn that what runs out is not wanted. So are series that were not on
    sale yet: nothing could be expected of them, and what they sold then is thousands of times as much.
    """

    def __init__(self, data: Dataset, origins: Origins, params: DemandParams) -> None:
        self.data, self.seed = data, params.seed
        self.share = params.boosting.max_rows // max(1, len(origins.all))
        self._made: dict[date, tuple[pd.DataFrame, NDArray[np.float64]]] = {}

    def of(self, origins: Sequence[date]) -> tuple[pd.DataFrame, NDArray[np.float64]]:
        """Rows of several origins, oldest first."""
        for day in origins:
            if day not in self._made:
                self._made[day] = self._rows(day)
        parts = [self._made[day] for day in origins]
        return _stacked([X for X, _ in parts]), np.concatenate([y for _, y in parts])

    def _rows(self, day: date) -> tuple[pd.DataFrame, NDArray[np.float64]]:
        origin = self.data.open(day)
        actual, censored = self.data.panel.actuals(origin.day, self.data.horizon_days + 1)
        able = np.isfinite(actual) & ~censored & origin.panel.open[:, origin.panel.n_history :]
        able &= _begun(origin)[:, None]
        rows, steps = np.nonzero(able)
        if len(rows) > self.share:
            rng = np.random.default_rng([self.seed, day.toordinal()])
            kept = np.sort(rng.permutation(len(rows))[: self.share])
            rows, steps = rows[kept], steps[kept]
        return origin.features(rows, steps), actual[rows, steps].astype(np.float64)


def _stacked(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Frames one below the other; words stay categories, whose lists may differ between origins."""
    columns: dict[str, Any] = {}
    for name in frames[0].columns:
        parts = [frame[name] for frame in frames]
        words = isinstance(parts[0].dtype, pd.CategoricalDtype)
        columns[name] = union_categoricals(parts) if words else np.concatenate(parts)
    return pd.DataFrame(columns, copy=False)


def example_features(origin: Origin) -> pd.DataFrame:
    """A few rows of features, for the registry's signature."""
    rows = np.arange(min(_EXAMPLE_ROWS, len(origin.panel)))
    return origin.features(rows, np.ones(len(rows), dtype=np.intp))


def _search(data: Dataset, origin: date, engine: Engine) -> pd.DataFrame:
    """Search SARIMA orders on what was known before the first day of the competition.

    Only for the segment whose reference model it is: elsewhere nothing asks for an order.
    """
    panel, profile = data.open(origin).panel, data.profile
    segments = [segment for segment, model in MISSION_MODELS.items() if model == "sarima"]
    able = np.flatnonzero((profile["fallback"].isna() & profile["segment"].isin(segments)).to_numpy())
    clusters = clusters_of(profile)
    return search_orders(
        panel.take(able),
        [clusters[row] for row in able],
        run=lambda function, frame: engine.map_groups(function, frame, key="group"),
    )


# --------------------------------------------------------------------------------------- competition


def _candidates_of(cell: str, boosters: Boosters, pinned: Mapping[str, str]) -> list[str]:
    """Models that compete in a cell: those of its kind, the global ones, the mission's, and the one pinned."""
    segment, _, regularity = cell.partition("/")
    names = {*LOCAL_CANDIDATES[regularity], MISSION_MODELS[segment]}
    names |= {pinned[segment]} & {*LOCAL_MODELS} if segment in pinned else set()
    names |= {name for name in boosters if name != MISSION_MODELS["new"] or segment == "new"}
    return sorted(names)


def _sample_of(profile: pd.DataFrame, size: int, seed: int) -> NDArray[np.intp]:
    """Rows on which all models compete: up to ``size`` series of each cell, without fallback series."""
    rng = np.random.default_rng(seed)
    able = np.flatnonzero(profile["fallback"].isna().to_numpy())
    cells = cells_of(profile)[able]
    chosen = [rng.permutation(able[cells == cell])[:size] for cell in np.unique(cells)]
    return np.sort(np.concatenate(chosen)) if chosen else able


def _hold_competition(
    data: Dataset,
    origins: Sequence[date],
    boosters: Boosters,
    searched: pd.DataFrame,
    params: DemandParams,
    engine: Engine,
) -> tuple[dict[str, Champion], pd.DataFrame]:
    """Let all models forecast the sample from past origins; the best of each cell is its champion."""
    rows, cells = _sample_of(data.profile, params.backtest.local_series, params.seed), cells_of(data.profile)
    pinned: Mapping[str, str] = params.backtest.pinned
    wanted: dict[str, list[int]] = {}
    for row in rows.tolist():
        for name in _candidates_of(str(cells[row]), boosters, pinned):
            wanted.setdefault(name, []).append(row)
    asked = {name: np.array(chosen, dtype=np.intp) for name, chosen in wanted.items()}
    orders = orders_of(searched, clusters_of(data.profile))
    actuals: list[Matrix] = []
    stockouts: list[Mask] = []
    forecasts: dict[str, list[Matrix]] = {name: [] for name in asked}
    seconds: dict[str, list[float]] = {name: [] for name in asked}
    for day in origins:
        origin = data.open(day)
        answers = run_models(origin, asked, boosters=boosters, orders=orders, engine=engine)
        _, actual, censored = _came(data, origin)
        actuals.append(actual[rows])
        stockouts.append(censored[rows])
        for model, answer in answers.items():
            forecasts[model].append(answer.units[rows, 1:])
            seconds[model].append(answer.seconds)
        log.info("competition from %s: %d models on %d series", day, len(answers), len(rows))
    return compete(
        Backtest(
            actual=np.concatenate(actuals),
            censored=np.concatenate(stockouts),
            forecasts={model: np.concatenate(each) for model, each in forecasts.items()},
            cells=np.tile(cells[rows].astype(str), len(origins)),
            series=np.tile(rows, len(origins)),
            scale=np.tile(naive_scale(data.panel.y[rows]), len(origins)),
            seconds={model: float(np.mean(each)) for model, each in seconds.items()},
        ),
        default=params.backtest.default,
        confidence=params.backtest.confidence,
        pinned={
            cell: pinned[segment]
            for cell in np.unique(cells)
            if (segment := cell.partition("/")[0]) in pinned
        },
        seed=params.seed,
        max_seconds=params.backtest.max_seconds_per_series,
        horizons=horizons_within(data.horizon_days),
    )


def _compete_for_levels(
    data: Dataset, past: Sequence[Past], params: DemandParams, engine: Engine
) -> tuple[dict[str, Champion], pd.DataFrame]:
    """Choose what forecasts the nodes of each level above the series: their sum, or a model of their own."""
    champions: dict[str, Champion] = {}
    tables = []
    for level in UPPER_LEVELS:
        nodes = nodes_of(data.profile, level)
        whole = aggregate(data.panel, nodes)
        asked = {model: np.arange(len(whole)) for model in LEVEL_CANDIDATES}
        forecasts: dict[str, list[NDArray[Any]]] = {name: [] for name in (SUMMED, *LEVEL_CANDIDATES)}
        actuals: list[Matrix] = []
        seconds = {SUMMED: 0.0}
        for one in past:
            seen = aggregate(data.open(one.origin).panel, nodes)
            for model, answer in run_local(seen, asked, orders=None, engine=engine).items():
                forecasts[model].append(answer.units[:, 1:])
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
                series=np.tile(np.arange(len(whole)), len(past)),
                scale=np.tile(naive_scale(whole.y), len(past)),
                seconds=seconds,
            ),
            default=SUMMED,
            confidence=params.backtest.confidence,
            max_seconds=np.inf,
            horizons=horizons_within(data.horizon_days),
            averages=False,
        )
        champions[level] = found[f"level:{level}"]
        tables.append(table)
    return champions, pd.concat(tables, ignore_index=True)


def _replay(
    data: Dataset, day: date, forecaster: DemandForecaster, params: DemandParams, engine: Engine
) -> Past:
    """Forecast all series from a past origin as the night would have done."""
    origin = data.open(day)
    # Today's fallbacks are in the profile; those of a past day must not know that a store closed since.
    fallbacks = fallbacks_at(origin.panel, params.features.short_days)
    found = serve(origin, data.profile, forecaster, fallbacks=fallbacks, engine=engine)
    begun, actual, censored = _came(data, origin)
    units = np.where(begun[:, None], found.units, np.float32(0))
    return Past(day, begun, actual, censored, units[:, 1:])


def _begun(origin: Origin) -> Mask:
    """Series that were on sale before an origin."""
    return np.asarray(np.isfinite(origin.panel.y).any(axis=1))


def _came(data: Dataset, origin: Origin) -> tuple[Mask, Matrix, Mask]:
    """Series on sale before an origin, what was sold on the published days, and their stock-outs.

    The night would not have forecast products that were not on sale yet: their sales count as unknown.
    """
    begun = _begun(origin)
    actual, censored = data.panel.actuals(origin.day, data.horizon_days + 1)
    return begun, np.where(begun[:, None], actual, np.float32("nan"))[:, 1:], censored[:, 1:]
