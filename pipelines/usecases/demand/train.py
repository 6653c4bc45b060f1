"""Demand, training: the weekly backtest, from which champions, orders and intervals come.

Past days play three parts, in order of time. On the oldest origins the global models learn; on the next
ones all models compete and the intervals are calibrated; on the newest the whole is judged, which nothing
was chosen by. What is judged is what serves.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from datetime import date
from typing import Any

import mlflow
import numpy as np
import pandas as pd

from models.forecasting.forecaster import DemandForecaster
from models.forecasting.local import search_orders
from models.forecasting.panel import Panel
from pipelines.engines import Engine, engine_of
from pipelines.errors import ConfigError
from pipelines.io.fingerprint import code_fingerprint
from pipelines.io.lake import Lake
from pipelines.io.registry import CHALLENGER, CHAMPION, Registry, code_version
from pipelines.measure import Stopwatch
from pipelines.settings import Settings
from pipelines.usecases.demand.backtest import MISSION_MODELS, compete_for_levels, hold_competition, replay
from pipelines.usecases.demand.boosting import example_features, fit_boosters
from pipelines.usecases.demand.contracts import USECASE
from pipelines.usecases.demand.dataset import Dataset, open_origin, read_dataset
from pipelines.usecases.demand.intervals import calibrate
from pipelines.usecases.demand.model_card import model_card
from pipelines.usecases.demand.orders import clusters_of
from pipelines.usecases.demand.params import DemandParams
from pipelines.usecases.demand.past import Past
from pipelines.usecases.demand.prepare import origins_of
from pipelines.usecases.demand.records import Results, publish_results

log = logging.getLogger(__name__)

#: Folders whose code decides what the models are; part of the fingerprint.
_CODE = ("features", "models/forecasting", "pipelines/usecases/demand", "dbt_project/models")


@dataclass(frozen=True)
class Origins:
    """Past days to forecast from, each list oldest first."""

    training: list[date]
    selection: list[date]
    judging: list[date]

    @classmethod
    def of(cls, as_of: date, params: DemandParams) -> Origins:
        """Divide the past days that the parameters ask for.

        No target day belongs to two parts: what the models learned from is over before they compete, and
        that before they are judged.
        """
        days = origins_of(as_of, params)
        backtest = params.backtest

        def before(limit: date) -> list[date]:
            """Origins whose targets are all over when the forecast of ``limit`` begins."""
            return [day for day in days if (limit - day).days > params.horizon_days]

        judging = days[len(days) - backtest.judging_origins :]
        selection = before(judging[0])[-backtest.selection_origins :]
        learning = before(selection[0]) if selection else []
        if not learning:
            raise ConfigError(
                f"{len(days)} origins leave none to learn from: targets must not overlap between learning, "
                "competition and judgement; raise backtest.training_weeks"
            )
        return cls(learning, selection, judging)


def run(
    as_of: date, *, settings: Settings | None = None, params: DemandParams | None = None
) -> dict[str, Any]:
    """Hold the backtest for ``as_of`` and register what won as the challenger.

    A run with the same data, parameters and code as the newest challenger's reuses that version.

    Returns
    -------
    dict
        ``model_version``, whether it was ``reused``, champions by cell and level, the main errors and the
        seconds of each part.
    """
    settings, params = settings or Settings.load(), params or DemandParams.load_default()
    lake, registry = Lake.of(settings), Registry(settings, USECASE)
    data = read_dataset(
        lake, as_of, horizon_days=params.horizon_days, history_days=params.features.history_days
    )
    known = hashlib.sha256(data.panel.y.tobytes() + data.panel.promo.tobytes()).hexdigest()
    fingerprint = code_fingerprint(settings.home, _CODE, str(as_of), params.fingerprint, known)
    version = registry.aliased(CHALLENGER)
    if version is not None and version.tags.get("fingerprint") == fingerprint:
        return {"model_version": version.label, "reused": True, "run_id": version.run_id}

    origins = Origins.of(as_of, params)
    tags = {
        "as_of": str(as_of),
        "code_version": code_version(settings.home),
        "data_versions": str(data.versions),
        "data_fingerprint": known[:16],
    }
    with (
        engine_of(params.engine, settings, **params.engine_options) as engine,
        registry.run(f"{USECASE}-{as_of}-{tags['code_version']}", tags) as run_id,
    ):
        watch = Stopwatch()
        results = _backtest(lake, registry, data, origins, params, engine, watch)
        example = example_features(lake, data, origins.judging[-1], params)
        with watch.phase("tables"):
            version = registry.log_model(results.forecaster, example, tags=tags, predict="predict")
            summary = publish_results(lake, as_of, data, results, version)
        _log(registry, version.version, as_of, params, origins, data, results, summary, watch.seconds)
    # Last, so that a version whose tables are incomplete after a crash is never reused.
    registry.mark_complete(version, fingerprint)
    return {
        "model_version": version.label,
        "reused": False,
        "run_id": run_id,
        "series": len(data.profile),
        "champions": {cell: champion.name for cell, champion in sorted(results.champions.items())},
        "levels": {level: champion.name for level, champion in results.level_champions.items()},
        **{name: round(value, 4) for name, value in summary.items() if np.isfinite(value)},
        "seconds": {name: round(seconds, 1) for name, seconds in watch.seconds.items()},
    }


def _backtest(
    lake: Lake,
    registry: Registry,
    data: Dataset,
    origins: Origins,
    params: DemandParams,
    engine: Engine,
    watch: Stopwatch,
) -> Results:
    with watch.phase("boosters"):
        boosters = fit_boosters(lake, data, origins.training, params)
    with watch.phase("orders"):
        searched = _search(lake, data, origins.selection[0], params, engine)
    orders = dict(zip(searched["cluster"].astype(str), searched["order"].astype(str), strict=True))
    with watch.phase("competition"):
        champions, table = hold_competition(
            lake, data, origins.selection, boosters=boosters, orders=orders, params=params, engine=engine
        )
    served = {name for champion in champions.values() for name in champion.models}
    kept = {name: model for name, model in boosters.items() if name in served} or boosters
    forecaster = DemandForecaster.of(kept, champions, {}, orders, None)

    def night(days: list[date], models: DemandForecaster) -> list[Past]:
        return list(replay(lake, data, days, models, params=params, engine=engine))

    with watch.phase("calibration"):
        chosen = night(origins.selection, forecaster)
        levels, level_table = compete_for_levels(lake, data, chosen, params=params, engine=engine)
        forecaster.levels = {level: champion.name for level, champion in levels.items()}
        forecaster.intervals = calibrate(chosen, data.profile)
    with watch.phase("judging"):
        naive = DemandForecaster(champions={cell: ["seasonal_naive"] for cell in champions})
        judging = {
            "challenger": night(origins.judging, forecaster),
            "seasonal_naive": night(origins.judging, naive),
        }
        serving = registry.aliased(CHAMPION)
        if serving is not None:
            judging["champion"] = night(origins.judging, registry.load(serving))
    return Results(
        forecaster=forecaster,
        champions=champions,
        level_champions=levels,
        table=pd.concat([table, level_table], ignore_index=True),
        searched=searched,
        selection=chosen,
        judging=judging,
    )


def _search(lake: Lake, data: Dataset, origin: date, params: DemandParams, engine: Engine) -> pd.DataFrame:
    """Search SARIMA orders on what was known before the first day of the competition.

    Only for the segment whose reference model it is: elsewhere nothing asks for an order.
    """
    panel: Panel = open_origin(lake, data, origin, horizon_days=params.horizon_days).panel
    profile = data.profile
    segments = [segment for segment, model in MISSION_MODELS.items() if model == "sarima"]
    able = np.flatnonzero((profile["fallback"].isna() & profile["segment"].isin(segments)).to_numpy())
    clusters = [clusters_of(data.profile)[row] for row in able]
    return search_orders(
        panel.take(able),
        clusters,
        run=lambda function, frame: engine.map_groups(function, frame, key="group"),
    )


def _log(
    registry: Registry,
    number: str,
    as_of: date,
    params: DemandParams,
    origins: Origins,
    data: Dataset,
    results: Results,
    summary: dict[str, float],
    seconds: dict[str, float],
) -> None:
    """Log parameters, errors by segment and level, and the model card to the open run."""
    mlflow.log_params(params.flat())
    values = {**summary, **{f"seconds.{name}": value for name, value in seconds.items()}}
    mlflow.log_metrics({name: value for name, value in values.items() if np.isfinite(value)})
    card = model_card(
        as_of=as_of, params=params, origins=origins, data=data, results=results, summary=summary
    )
    mlflow.log_text(card, "model_card.md")
    registry.client.update_model_version(USECASE, number, description=card[:5000])
