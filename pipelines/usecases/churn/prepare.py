"""Churn, features: dbt over the raw tables, audited and published as partitions of the lake."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pa_dataset

from features.spine import matured_mondays, monthly_snapshots
from pipelines.io.dbt import project_hash, run_dbt
from pipelines.io.hashing import content_hash
from pipelines.io.lake import Lake
from pipelines.io.marts import mart_rows, published_days, slowest
from pipelines.settings import Settings
from pipelines.usecases.churn.contracts import RAW_TABLES, features_contract, labels_contract
from pipelines.usecases.churn.params import ChurnParams

log = logging.getLogger(__name__)

#: Past score days whose labels are (re)built with every run; several, so that a missed week heals.
MATURED_WEEKS = 2


def run(
    as_of: date,
    *,
    settings: Settings | None = None,
    params: ChurnParams | None = None,
    training: bool = False,
    only_if_missing: bool = False,
    pins: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Build the features of ``as_of`` and the labels that are complete by then.

    One dbt process computes every day that is needed. ``features/churn`` gets the partition of
    ``as_of``, for training also those of the monthly snapshots; ``features/churn_labels`` those of the
    newest complete Mondays, for training also of the snapshots. Earlier versions stay readable.

    Parameters
    ----------
    training
        Also build the stack of snapshots that the parameters ask for.
    only_if_missing
        Do nothing if ``as_of`` is published already.
    pins
        Versions of raw tables to read instead of the newest: the same pins give the same bytes.

    Returns
    -------
    dict
        ``rows``, ``in_scope``, ``labels``, ``snapshots``, ``features_version``, ``labels_version``,
        ``source_versions``, ``features_hash`` (content of the partition of ``as_of``), ``code_hash``,
        ``seconds_dbt``, ``slowest``; ``published`` is False if nothing was to be done.

    Raises
    ------
    DataContractError
        A raw table is missing, a dbt test or an audit failed: nothing was published.
    """
    settings = settings or Settings.load()
    params = params or ChurnParams.load_default()
    lake = Lake.of(settings)
    features, labels = features_contract(settings), labels_contract(settings)
    if only_if_missing and as_of in published_days(lake, features):
        log.info("features of %s are published already", as_of)
        return {"as_of": as_of.isoformat(), "published": False}

    horizon = params.snapshots.horizon_days
    matured = matured_mondays(as_of, weeks=MATURED_WEEKS, horizon_days=horizon)
    snapshots = (
        monthly_snapshots(as_of, months=params.snapshots.months, horizon_days=horizon) if training else []
    )
    feature_days = sorted({as_of, *snapshots})
    label_days = sorted({*matured, *snapshots})
    built = run_dbt(
        settings,
        run_id=f"churn-prepare-{as_of}-{uuid.uuid4().hex[:8]}",
        select=["+ml_churn_features", "+ml_churn_labels"],
        tables=RAW_TABLES,
        as_of_dates=feature_days,
        label_dates=label_days,
        known_before=as_of,
        pins=pins,
    )
    code = project_hash(settings.dbt_project)
    metadata = {"source_versions": dict(built.versions), "code_hash": code}
    published = lake.replace_partitions(
        features.table,
        mart_rows(built, features, "ml.ml_churn_features", feature_days),
        "as_of",
        feature_days,
        metadata=metadata,
    )
    labelled = lake.replace_partitions(
        labels.table,
        mart_rows(built, labels, "ml.ml_churn_labels", label_days),
        "as_of",
        label_days,
        metadata=metadata,
    )
    built.discard()
    today = lake.read(features.table, where=pa_dataset.field("as_of") == as_of, version=published.version)
    return {
        "as_of": as_of.isoformat(),
        "published": True,
        "rows": today.num_rows,
        "in_scope": int(pa.compute.sum(today["in_scope"]).as_py() or 0),
        "labels": labelled.rows,
        "snapshots": len(snapshots),
        "features_version": published.version,
        "labels_version": labelled.version,
        "source_versions": dict(built.versions),
        "features_hash": content_hash(today, sort_by=features.table.key),
        "code_hash": code,
        "seconds_dbt": round(built.seconds, 2),
        "slowest": slowest(built),
    }
