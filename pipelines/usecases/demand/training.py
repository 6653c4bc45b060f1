"""Training: the weekly backtest, from which champions, orders and intervals come.

Past days play three parts, in order of time. On the oldest origins the global models learn; on the next
ones all models compete and the intervals are calibrated; on the newest the whole is judged, which nothing
was chosen by. What is judged is what serves.
"""

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
from models.forecasting.forecaster import DemandForecaster
from models.forecasting.local import search_orders
from models.forecasting.similar import SimilarForecaster
from pipelines.engines import Engine, engine_of
from pipelines.measure import Stopwatch
from pipelines.usecase import Run, Trained
from pipelines.usecases.demand.backtest import MISSION_MODELS, compete_for_levels, hold_competition, replay
from pipelines.usecases.demand.coherence import Past, calibrate
from pipelines.usecases.demand.dataset import Dataset, Origin
from pipelines.usecases.demand.forecasting import clusters_of
from pipelines.usecases.demand.params import DemandParams, Origins
from pipelines.usecases.demand.records import Results, model_card, tables_of

log = logging.getLogger(__name__)

#: Threads of the boosters.
_THREADS = 2

#: Rows of the registry's input example.
_EXAMPLE_ROWS = 5


def fit(run: Run[DemandParams], data: Dataset, champion: DemandForecaster | None) -> Trained:
    """Hold the backtest of the day; what won is the challenger."""
    params, watch = run.params, Stopwatch()
    origins = Origins.of(run.as_of, params)
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
    with watch.phase("boosters"):
        boosters = fit_boosters(data, origins.training, params)
    with watch.phase("orders"):
        searched = _search(data, origins.selection[0], engine)
    orders = dict(zip(searched["cluster"].astype(str), searched["order"].astype(str), strict=True))
    with watch.phase("competition"):
        champions, table = hold_competition(
            data, origins.selection, boosters=boosters, orders=orders, params=params, engine=engine
        )
    served = {name for champion in champions.values() for name in champion.models}
    kept = {name: model for name, model in boosters.items() if name in served} or boosters
    forecaster = DemandForecaster.of(kept, champions, {}, orders, None)

    def nights(days: list[date], models: DemandForecaster) -> list[Past]:
        return list(replay(data, days, models, params=params, engine=engine))

    with watch.phase("calibration"):
        chosen = nights(origins.selection, forecaster)
        levels, level_table = compete_for_levels(data, chosen, engine)
        forecaster.levels = {level: champion.name for level, champion in levels.items()}
        forecaster.intervals = calibrate(chosen, data.profile)
    with watch.phase("judging"):
        naive = DemandForecaster(champions={cell: ["seasonal_naive"] for cell in champions})
        candidates = {"challenger": forecaster, "seasonal_naive": naive}
        candidates |= {"champion": champion} if champion is not None else {}
        judging = {name: nights(origins.judging, models) for name, models in candidates.items()}
    return Results(
        forecaster=forecaster,
        champions=champions,
        level_champions=levels,
        table=pd.concat([table, level_table], ignore_index=True),
        searched=searched,
        selection=chosen,
        judging=judging,
    )


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


# ------------------------------------------------------------------------------------- global models


def fit_boosters(
    data: Dataset, origins: Sequence[date], params: DemandParams
) -> dict[str, GlobalForecaster | SimilarForecaster]:
    """Fit the global models on the days after past origins.

    The model of new products learns from the series that were young then.
    """
    X, y = _training_stack(data, origins, params)
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


def _training_stack(
    data: Dataset, origins: Sequence[date], params: DemandParams
) -> tuple[pd.DataFrame, NDArray[np.float64]]:
    """Features and sales of a sample of series and days ahead, for every origin.

    Days that were not reported, closed days and stock-outs are left out: the last are lower bounds, and a
    model that took them for the demand would learn that what runs out is not wanted.
    """
    share = params.boosting.max_rows // max(1, len(origins))
    frames, targets = [], []
    for day in origins:
        origin = data.open(day)
        actual, censored = data.panel.actuals(origin.day, data.horizon_days + 1)
        able = np.isfinite(actual) & ~censored & origin.panel.open[:, origin.panel.n_history :]
        rows, steps = np.nonzero(able)
        if len(rows) > share:
            rng = np.random.default_rng([params.seed, day.toordinal()])
            kept = np.sort(rng.permutation(len(rows))[:share])
            rows, steps = rows[kept], steps[kept]
        frames.append(_features(origin, rows, steps))
        targets.append(actual[rows, steps])
    return _stacked(frames), np.concatenate(targets).astype(np.float64)


def example_features(origin: Origin) -> pd.DataFrame:
    """A few rows of features, for the registry's signature."""
    rows = np.arange(min(_EXAMPLE_ROWS, len(origin.panel)))
    return _features(origin, rows, np.ones(len(rows), dtype=np.intp))


def _features(origin: Origin, rows: NDArray[np.intp], steps: NDArray[np.intp]) -> pd.DataFrame:
    panel = origin.panel
    return origin_frame(panel, origin.day, panel.horizon, ahead=origin.ahead, cells=(rows, steps))


def _stacked(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Frames one below the other; words stay categories, whose lists may differ between origins."""
    columns: dict[str, Any] = {}
    for name in frames[0].columns:
        parts = [frame[name] for frame in frames]
        words = isinstance(parts[0].dtype, pd.CategoricalDtype)
        columns[name] = union_categoricals(parts) if words else np.concatenate(parts)
    return pd.DataFrame(columns, copy=False)
