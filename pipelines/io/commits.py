"""Commits of a day's rows to a table that is partitioned by ``as_of``."""

from __future__ import annotations

from datetime import date
from typing import Any, Unpack

import numpy as np
import pandas as pd
import pyarrow as pa

from features.schemas import Table
from pipelines.io.lake import Commit, Extras, Lake
from pipelines.io.staged import Rows


def commit_day(
    lake: Lake,
    table: Table,
    as_of: date,
    rows: Rows | pd.DataFrame,
    model_version: str,
    **extras: Unpack[Extras],
) -> Commit:
    """Replace the partition of a day; a failed audit leaves the table as it was.

    Arrow rows are taken as they are. Of a frame, ``as_of`` and ``model_version`` are filled in where the table
    declares them, numbers that are not finite become null, and rows are put in the order of the key.
    """
    data = as_rows(table, rows, as_of, model_version) if isinstance(rows, pd.DataFrame) else rows
    extras["metadata"] = {"model_version": model_version, **(extras.get("metadata") or {})}
    return lake.replace_partition(table, data, {"as_of": as_of}, **extras)


def as_rows(table: Table, frame: pd.DataFrame, as_of: date, model_version: str) -> pa.Table:
    """Rows of a frame in the declared types and order."""
    own: dict[str, Any] = {"as_of": as_of, "model_version": model_version}
    complete = frame.assign(**{name: value for name, value in own.items() if name in table.column_names})
    columns = {}
    for field in table.arrow_schema:
        values = complete[field.name]
        if pa.types.is_floating(field.type):
            numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
            columns[field.name] = pa.array(
                np.where(np.isfinite(numbers), numbers, np.nan), field.type, from_pandas=True
            )
        else:
            columns[field.name] = pa.array(values, field.type, from_pandas=True)
    order = [(name, "ascending") for name in table.key]
    return pa.table(columns, schema=table.arrow_schema).sort_by(order)
