"""Clustering, features: dbt over the raw tables of demand, audited and published as partitions of the lake."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset

from pipelines.io.dbt import project_hash, run_dbt
from pipelines.io.hashing import content_hash
from pipelines.io.lake import Lake
from pipelines.io.marts import mart_rows, published_days, slowest
from pipelines.settings import Settings
from pipelines.usecases.clustering.contracts import OPTIONAL_TABLES, RAW_TABLES, features_contract
from pipelines.usecases.clustering.params import ClusteringParams

log = logging.getLogger(__name__)

_MODEL = "ml_clustering_features"


def run(
    as_of: date,
    *,
    settings: Settings | None = None,
    params: ClusteringParams | None = None,
    training: bool = False,
    only_if_missing: bool = False,
    pins: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Build the features of the stores known at ``as_of``.

    Parameters
    ----------
    training
        Groups are found among the stores of the day itself, so training asks for nothing more.
    only_if_missing
        Do nothing if the day is published already.
    pins
        Versions of raw tables to read instead of the newest: the same pins give the same bytes.

    Returns
    -------
    dict
        ``stores``, ``in_scope``, ``out_of_scope`` (stores per reason), ``missing`` (share of the stores for
        which a variable is unknown, for variables that are unknown for some), ``features_version``,
        ``source_versions``, ``features_hash`` (content of the partition), ``code_hash``, ``seconds_dbt``,
        ``slowest``; ``published`` is False if nothing was to be done.

    Raises
    ------
    DataContractError
        A raw table is missing, a dbt test or an audit failed: nothing was published.
    """
    settings, params = settings or Settings.load(), params or ClusteringParams.load_default()
    lake, contract = Lake.of(settings), features_contract(settings)
    if only_if_missing and as_of in published_days(lake, contract):
        log.info("features of %s are published already", as_of)
        return {"as_of": as_of.isoformat(), "published": False}
    built = run_dbt(
        settings,
        run_id=f"clustering-prepare-{as_of}-{uuid.uuid4().hex[:8]}",
        select=[f"+{_MODEL}"],
        tables=RAW_TABLES,
        as_of_dates=[as_of],
        parameters=params.features.model_dump(),
        pins=pins,
        may_be_absent=OPTIONAL_TABLES,
    )
    code = project_hash(settings.dbt_project)
    published = lake.replace_partition(
        contract.table,
        mart_rows(built, contract, f"ml.{_MODEL}", [as_of]),
        {"as_of": as_of},
        metadata={"source_versions": dict(built.versions), "code_hash": code},
    )
    built.discard()
    today = lake.read(contract.table, where=pa_dataset.field("as_of") == as_of, version=published.version)
    inside = today.filter(today["in_scope"])
    return {
        "as_of": as_of.isoformat(),
        "published": True,
        "stores": today.num_rows,
        "in_scope": inside.num_rows,
        "out_of_scope": _counts(today["scope_reason"]),
        "missing": {
            feature.name: round(inside[feature.name].null_count / max(inside.num_rows, 1), 3)
            for feature in contract.features
            if inside[feature.name].null_count
        },
        "features_version": published.version,
        "source_versions": dict(built.versions),
        "features_hash": content_hash(today, sort_by=contract.table.key),
        "code_hash": code,
        "seconds_dbt": round(built.seconds, 2),
        "slowest": slowest(built),
    }


def _counts(reasons: pa.ChunkedArray) -> dict[str, int]:
    counted = pc.value_counts(reasons.drop_null()).to_pylist()
    return {row["values"]: row["counts"] for row in sorted(counted, key=lambda row: row["values"])}
