"""Repurchase, features: dbt over the raw tables, audited and published as partitions of the lake."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset

from features.contracts import Contract
from features.spine import past_origins
from pipelines.io.dbt import project_hash, run_dbt
from pipelines.io.hashing import content_hash
from pipelines.io.lake import Lake
from pipelines.io.marts import drop_days, mart_rows, published_days, slowest
from pipelines.settings import Settings
from pipelines.usecases.repurchase.contracts import (
    OPTIONAL_TABLES,
    RAW_TABLES,
    candidates_contract,
    customers_contract,
    labels_contract,
    training_contract,
)
from pipelines.usecases.repurchase.params import RepurchaseParams

log = logging.getLogger(__name__)

#: Past score days whose labels are (re)built with every run; several, so that a missed day heals.
MATURED_DAYS = 3


def run(
    as_of: date,
    *,
    settings: Settings | None = None,
    params: RepurchaseParams | None = None,
    training: bool = False,
    only_if_missing: bool = False,
    pins: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Build the features of ``as_of``, the labels that are complete by then and, for training, past days.

    One dbt process computes every day that is needed. ``features/repurchase_customers`` gets the partition of
    ``as_of``, for training also those of the snapshots; ``features/repurchase_candidates`` that of ``as_of``;
    ``features/repurchase_training`` the snapshots with their labels, in the place of the last run's;
    ``features/repurchase_labels`` the newest complete days and the snapshots. Candidates are many and can be
    rebuilt from the raw tables at any time, so only the newest days are kept.

    Parameters
    ----------
    training
        Also build the stack of snapshots that the parameters ask for.
    only_if_missing
        Do nothing if all days are published already; a day without any row counts as missing.
    pins
        Versions of raw tables to read instead of the newest: the same pins give the same bytes.

    Returns
    -------
    dict
        ``customers``, ``in_scope``, ``candidates``, ``training_rows``, ``labels``, ``censored``, ``snapshots``,
        ``versions`` (lake version per table written), ``source_versions``, ``features_hash`` (content of the
        customers of ``as_of``), ``code_hash``, ``seconds_dbt``, ``slowest``; ``published`` is False if nothing
        was to be done.

    Raises
    ------
    DataContractError
        A raw table is missing, a dbt test or an audit failed: nothing was published.
    """
    settings = settings or Settings.load()
    params = params or RepurchaseParams.load_default()
    lake = Lake.of(settings)
    customers, stack = customers_contract(settings), training_contract(settings)
    snapshots = snapshots_of(as_of, params) if training else []
    if (
        only_if_missing
        and as_of in published_days(lake, customers)
        and as_of in published_days(lake, candidates_contract(settings))
        and set(snapshots) <= published_days(lake, customers) & published_days(lake, stack)
    ):
        log.info("features of %s are published already", as_of)
        return {"as_of": as_of.isoformat(), "published": False}

    feature_days = sorted({as_of, *snapshots})
    label_days = sorted({*matured_days(as_of, params), *snapshots})
    written: dict[str, tuple[Callable[[Settings], Contract], list[date]]] = {
        "ml_repurchase_customers": (customers_contract, feature_days),
        "ml_repurchase_labels": (labels_contract, label_days),
    }
    if training:
        written["ml_repurchase_training"] = (training_contract, snapshots)
    written["ml_repurchase_candidates"] = (
        candidates_contract,
        [as_of],
    )  # last: a day that has them is complete
    built = run_dbt(
        settings,
        run_id=f"repurchase-prepare-{as_of}-{uuid.uuid4().hex[:8]}",
        select=[f"+{model}" for model in written],
        tables=RAW_TABLES,
        as_of_dates=feature_days,
        label_dates=label_days,
        known_before=as_of,
        parameters=sql_parameters(params),
        pins=pins,
        may_be_absent=OPTIONAL_TABLES,
    )
    code = project_hash(settings.dbt_project)
    metadata = {"source_versions": dict(built.versions), "code_hash": code}
    versions, rows = {}, {}
    for model, (contract_of, days) in written.items():
        contract = contract_of(settings)
        data = mart_rows(built, contract, f"ml.{model}", days)
        commit = lake.replace_partitions(contract.table, data, "as_of", days, metadata=metadata)
        versions[commit.table], rows[model] = commit.version, commit.rows
    _drop_old(lake, settings, as_of, snapshots, keep=params.candidate_versions)
    built.discard()
    today = lake.read(
        customers.table, where=pa_dataset.field("as_of") == as_of, version=versions[customers.table.name]
    )
    labelled = lake.read(
        labels_contract(settings).table,
        columns=["censored"],
        where=pa_dataset.field("as_of").isin(label_days),
    )
    return {
        "as_of": as_of.isoformat(),
        "published": True,
        "customers": today.num_rows,
        "in_scope": int(pc.sum(today["in_scope"]).as_py() or 0),
        "candidates": rows["ml_repurchase_candidates"],
        "training_rows": rows.get("ml_repurchase_training", 0),
        "labels": labelled.num_rows,
        "censored": int(pc.sum(labelled["censored"]).as_py() or 0),
        "snapshots": len(snapshots),
        "versions": versions,
        "source_versions": dict(built.versions),
        "features_hash": content_hash(today, sort_by=customers.table.key),
        "code_hash": code,
        "seconds_dbt": round(built.seconds, 2),
        "slowest": slowest(built),
    }


def snapshots_of(as_of: date, params: RepurchaseParams) -> list[date]:
    """Past days on which models learn, oldest first; the newest has been observed for ``observed_days``."""
    snapshots = params.snapshots
    return past_origins(
        as_of,
        origins=snapshots.count,
        spacing_days=snapshots.spacing_days,
        horizon_days=snapshots.observed_days + params.features.settle_days,
    )


def matured_days(as_of: date, params: RepurchaseParams) -> list[date]:
    """Newest days whose horizon is over and known at ``as_of``, oldest first."""
    newest = as_of - timedelta(days=params.horizon_days + params.features.settle_days)
    return [newest - timedelta(days=days) for days in range(MATURED_DAYS)][::-1]


def sql_parameters(params: RepurchaseParams) -> dict[str, float]:
    """Numbers that the feature models read, by the names they have there."""
    return dict(params.features.model_dump())


def _drop_old(lake: Lake, settings: Settings, as_of: date, snapshots: list[date], *, keep: int) -> None:
    """Remove all but the newest days of the candidates, and snapshots of earlier training runs."""
    candidates, training = candidates_contract(settings), training_contract(settings)
    # That of `as_of` stays, also in a backfill.
    newest = sorted(published_days(lake, candidates) - {as_of}, reverse=True)
    drop_days(lake, candidates, newest[keep - 1 :])
    if snapshots:
        drop_days(lake, training, published_days(lake, training) - set(snapshots))
