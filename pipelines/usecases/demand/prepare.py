"""Demand, features: dbt over the raw tables, audited and published as partitions of the lake."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pa_dataset

from features.contracts import Contract
from features.spine import past_origins
from pipelines.io.dbt import project_hash, run_dbt
from pipelines.io.hashing import content_hash
from pipelines.io.lake import Lake
from pipelines.io.marts import drop_days, mart_rows, published_days, slowest
from pipelines.settings import Settings
from pipelines.usecases.demand.contracts import (
    HANDED_OVER,
    OPTIONAL_TABLES,
    RAW_TABLES,
    ahead_contract,
    calendar_contract,
    out_of_scope_contract,
    panel_contract,
    profile_contract,
)
from pipelines.usecases.demand.params import DemandParams

log = logging.getLogger(__name__)

#: Marts with their contracts and whether past origins are published too. The profile comes last: a day that
#: has one is complete.
_MARTS: Mapping[str, tuple[Callable[[Settings], Contract], bool]] = {
    "ml_demand_panel": (panel_contract, False),
    "ml_demand_calendar": (calendar_contract, True),
    "ml_demand_ahead": (ahead_contract, True),
    "ml_demand_out_of_scope": (out_of_scope_contract, False),
    "ml_demand_profile": (profile_contract, False),
}


def run(
    as_of: date,
    *,
    settings: Settings | None = None,
    params: DemandParams | None = None,
    training: bool = False,
    only_if_missing: bool = False,
    pins: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Build the features of ``as_of`` and, for training, what was known ahead at past origins.

    One dbt process computes every day that is needed. All tables get the partition of ``as_of``;
    ``features/demand_ahead`` and ``features/demand_calendar`` for training also those of the past origins. The
    panel is large and can be rebuilt from the raw tables at any time, so only its newest partitions are kept.

    Parameters
    ----------
    training
        Also build the origins that the parameters of the backtest ask for.
    only_if_missing
        Do nothing if all days are published already.
    pins
        Versions of raw tables to read instead of the newest: the same pins give the same bytes.

    Returns
    -------
    dict
        ``series``, ``segments`` and ``fallbacks`` (series per kind), ``out_of_scope`` (series per reason),
        ``panel_rows``, ``ahead_rows``, ``origins``, ``versions`` (lake version per table written),
        ``source_versions``, ``profile_hash`` (content of the partition of ``as_of``), ``code_hash``,
        ``panel_days_removed``, ``seconds_dbt``, ``slowest``; ``published`` is False if nothing was to be done.

    Raises
    ------
    DataContractError
        A raw table is missing, a dbt test or an audit failed: nothing was published.
    """
    settings = settings or Settings.load()
    params = params or DemandParams.load_default()
    lake = Lake.of(settings)
    origins = origins_of(as_of, params) if training else []
    days = sorted({as_of, *origins})
    panel, profile, ahead = panel_contract(settings), profile_contract(settings), ahead_contract(settings)
    if (
        only_if_missing
        and as_of in published_days(lake, panel)
        and as_of in published_days(lake, profile)
        and set(days) <= published_days(lake, ahead)
    ):
        log.info("features of %s are published already", as_of)
        return {"as_of": as_of.isoformat(), "published": False}

    built = run_dbt(
        settings,
        run_id=f"demand-prepare-{as_of}-{uuid.uuid4().hex[:8]}",
        select=[f"+{model}" for model in _MARTS],
        tables=(*RAW_TABLES, *HANDED_OVER),
        as_of_dates=days,
        known_before=as_of,
        parameters=sql_parameters(params),
        pins=pins,
        may_be_absent=(*OPTIONAL_TABLES, *(table.name for table in HANDED_OVER)),
    )
    code = project_hash(settings.dbt_project)
    metadata = {"source_versions": dict(built.versions), "code_hash": code}
    versions, rows = {}, {}
    for model, (contract_of, has_origins) in _MARTS.items():
        contract = contract_of(settings)
        written = days if has_origins else [as_of]
        data = mart_rows(built, contract, f"ml.{model}", written)
        commit = lake.replace_partitions(contract.table, data, "as_of", written, metadata=metadata)
        versions[commit.table], rows[model] = commit.version, commit.rows
    removed = _drop_old_panels(lake, panel, as_of, keep=params.panel_versions)
    built.discard()
    today = pa_dataset.field("as_of") == as_of
    series = lake.read(profile.table, where=today, version=versions[profile.table.name])
    out_of_scope = lake.read(out_of_scope_contract(settings).table, columns=["scope_reason"], where=today)
    return {
        "as_of": as_of.isoformat(),
        "published": True,
        "series": series.num_rows,
        "segments": _counts(series["segment"]),
        "fallbacks": _counts(series["fallback"]),
        "out_of_scope": _counts(out_of_scope["scope_reason"]),
        "panel_rows": rows["ml_demand_panel"],
        "ahead_rows": rows["ml_demand_ahead"],
        "origins": len(origins),
        "versions": versions,
        "source_versions": dict(built.versions),
        "profile_hash": content_hash(series, sort_by=profile.table.key),
        "code_hash": code,
        "panel_days_removed": [day.isoformat() for day in removed],
        "seconds_dbt": round(built.seconds, 2),
        "slowest": slowest(built),
    }


def origins_of(as_of: date, params: DemandParams) -> list[date]:
    """Past days from which a training run forecasts, oldest first; the newest are kept for judging."""
    backtest = params.backtest
    return past_origins(
        as_of,
        origins=backtest.training_weeks + backtest.selection_origins + backtest.judging_origins,
        spacing_days=backtest.spacing_days,
        horizon_days=params.horizon_days,
    )


def sql_parameters(params: DemandParams) -> dict[str, float]:
    """Numbers that the feature models read, by the names they have there."""
    return {**params.features.model_dump(), "horizon_days": params.horizon_days}


def _drop_old_panels(lake: Lake, panel: Contract, as_of: date, *, keep: int) -> list[date]:
    """Remove all but the newest days of the panel; that of ``as_of`` stays, also in a backfill."""
    newest = sorted(published_days(lake, panel) - {as_of}, reverse=True)
    return drop_days(lake, panel, newest[keep - 1 :])


def _counts(kinds: pa.ChunkedArray) -> dict[str, int]:
    """Number of rows per kind; null is none."""
    counted = kinds.drop_null().value_counts().to_pylist()
    return {row["values"]: row["counts"] for row in sorted(counted, key=lambda row: row["values"])}
