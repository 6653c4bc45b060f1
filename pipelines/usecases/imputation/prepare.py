"""Imputation, features: dbt over the raw tables, audited and published as partitions of the lake."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset

from pipelines.errors import DataContractError
from pipelines.io.dbt import project_hash, run_dbt
from pipelines.io.hashing import content_hash
from pipelines.io.lake import Lake
from pipelines.io.marts import mart_rows, slowest
from pipelines.settings import Settings
from pipelines.usecases.imputation.contracts import MARTS, RAW_TABLES, mart_contracts
from pipelines.usecases.imputation.params import ImputationParams

log = logging.getLogger(__name__)


def run(
    as_of: date,
    *,
    settings: Settings | None = None,
    params: ImputationParams | None = None,
    training: bool = False,
    pins: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Build parts, sensors and cells as known on ``as_of``, and replace the day's partitions.

    Parameters
    ----------
    training
        Take the whole window that a model is fitted on; otherwise only the parts to be completed.
    pins
        Versions of raw tables to read instead of the newest: the same pins give the same bytes.

    Returns
    -------
    dict
        ``parts``, ``in_batch``, ``sensors``, ``cells``, ``source_versions``, ``features_hash`` (content of the
        cells), ``code_hash``, ``seconds_dbt``, ``slowest``.

    Raises
    ------
    DataContractError
        A raw table is missing, no part is in the window, a dbt test or an audit failed: nothing was published.
    """
    settings = settings or Settings.load()
    params = params or ImputationParams.load_default()
    lake, window = Lake.of(settings), params.window
    days = max(window.train_days, window.batch_days) if training else window.batch_days
    built = run_dbt(
        settings,
        run_id=f"imputation-prepare-{as_of}-{uuid.uuid4().hex[:8]}",
        select=[f"+{mart}" for mart in MARTS],
        tables=RAW_TABLES,
        as_of_dates=[as_of],
        parameters={"window_days": float(days), "batch_days": float(window.batch_days)},
        pins=pins,
    )
    code = project_hash(settings.dbt_project)
    metadata = {"source_versions": dict(built.versions), "code_hash": code, "window_days": days}
    contracts = mart_contracts(settings)
    parts = mart_rows(built, contracts["ml_imputation_parts"], "ml.ml_imputation_parts", [as_of]).read_all()
    if parts.num_rows == 0:
        raise DataContractError(
            f"no part was made in the {days} days before {as_of} (window in params.yaml): nothing was published. "
            "Look at the newest produced_at of raw/imputation_parts"
        )
    commits = {}
    for mart, contract in contracts.items():
        rows = parts if mart == MARTS[0] else mart_rows(built, contract, f"ml.{mart}", [as_of])
        commits[mart] = lake.replace_partition(contract.table, rows, {"as_of": as_of}, metadata=metadata)
    built.discard()
    cells = contracts["ml_imputation_cells"].table
    return {
        "as_of": as_of.isoformat(),
        "parts": parts.num_rows,
        "in_batch": int(pc.sum(parts["in_batch"]).as_py() or 0),
        "sensors": commits["ml_imputation_sensors"].rows,
        "cells": commits["ml_imputation_cells"].rows,
        "source_versions": dict(built.versions),
        "features_hash": _hash(lake.read(cells, where=pa_dataset.field("as_of") == as_of), cells.key),
        "code_hash": code,
        "seconds_dbt": round(built.seconds, 2),
        "slowest": slowest(built),
    }


def _hash(rows: pa.Table, key: tuple[str, ...]) -> str:
    return content_hash(rows, sort_by=key)
