"""What a training run found, as tables of the lake."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa

from features.schemas import Table
from pipelines.io.lake import Lake
from pipelines.io.registry import ModelVersion
from pipelines.usecases.repurchase.judging import Outcome
from pipelines.usecases.repurchase.schemas import BASKET_VALIDATION, CURVES, TIMING_VALIDATION


def publish_outcome(lake: Lake, as_of: date, outcome: Outcome, version: ModelVersion) -> None:
    """Replace the validation tables of a training day."""
    tables = {
        TIMING_VALIDATION: _dates(as_of, outcome),
        BASKET_VALIDATION: _lists(as_of, outcome),
        CURVES: _curves(as_of, outcome),
    }
    for table, parts in tables.items():
        rows = _table(table, parts)
        lake.replace_partition(table, rows, {"as_of": as_of}, metadata={"model_version": version.label})


def _dates(as_of: date, outcome: Outcome) -> Iterable[pd.DataFrame]:
    keys = outcome.waits.keys.rename(columns={"as_of": "snapshot"})
    for name, wait in outcome.dates.items():
        yield keys.assign(
            as_of=as_of,
            candidate=name,
            days_to_next=pd.Series(outcome.waits.days).astype("Int64"),
            judged_days=outcome.judged_days,
            expected_days=wait.expected,
            low_days=wait.low,
            high_days=wait.high,
            return_probability=wait.probability,
        )


def _lists(as_of: date, outcome: Outcome) -> Iterable[pd.DataFrame]:
    keys = outcome.orders.rename(columns={"as_of": "snapshot"})
    f1 = outcome.list_f1()
    for name, found in outcome.lists.items():
        missing = np.full(len(keys), np.nan)
        yield keys.assign(
            as_of=as_of,
            candidate=name,
            named=found.named,
            hits=found.hits,
            f1=f1[name],
            expected_f1=missing if found.expected_f1 is None else np.clip(found.expected_f1, 0, 1),
            nothing_probability=missing if found.nothing is None else np.clip(found.nothing, 0, 1),
        )


def _curves(as_of: date, outcome: Outcome) -> Iterable[pd.DataFrame]:
    for (name, kind), found in outcome.curves().items():
        yield pd.DataFrame(found).assign(
            as_of=as_of, candidate=name, kind=kind, bin=np.arange(1, len(found["rows"]) + 1)
        )


def _table(table: Table, parts: Iterable[pd.DataFrame]) -> pa.Table:
    frames = [part[table.column_names] for part in parts]
    if not frames:
        return table.arrow_schema.empty_table()
    rows = pa.concat_tables(
        [pa.Table.from_pandas(frame, schema=table.arrow_schema, preserve_index=False) for frame in frames]
    )
    return rows.sort_by([(name, "ascending") for name in table.key])
