"""An audit of the number of rows: a day that differs too much from the last one is not committed."""

from __future__ import annotations

from datetime import date
from typing import Any

import pyarrow.dataset as pa_dataset

from features.schemas import Table
from pipelines.io.audit import Audit
from pipelines.io.lake import Lake, before_day


def earlier_volumes(
    lake: Lake, table: Table | str, as_of: date, where: pa_dataset.Expression | None = None
) -> list[int]:
    """Rows of each day before ``as_of`` that has any, oldest first; of those that match a filter if one is given."""
    before = before_day(as_of) if where is None else before_day(as_of) & where
    rows = lake.read(table, columns=["as_of"], where=before, missing_ok=True)
    counts = rows.group_by("as_of").aggregate([("as_of", "count")]).sort_by("as_of")["as_of_count"]
    return list(counts.to_pylist())


def rows_of_last_day(lake: Lake, table: Table, as_of: date) -> int:
    """Rows of the newest earlier day that has some; 0 without one."""
    return next(reversed(earlier_volumes(lake, table, as_of)), 0)


def volume_audit(
    lake: Lake, table: Table, as_of: date, *, share: float, parameter: str, nothing: str = ""
) -> Audit:
    """Refuse a day whose number of rows differs from the last day's by more than a ``share`` of it.

    The bounds of monitoring are tighter: they alert someone, this stops the commit. ``parameter`` names the
    bound in ``params.yaml`` for the message; ``nothing`` is what to say of a day without rows, which is refused
    then.
    """
    last = rows_of_last_day(lake, table, as_of)

    def audit(staged: Any) -> list[str]:
        rows = staged.aggregate("count(*)").fetchall()[0][0]
        if rows == 0 and nothing:
            return [nothing]
        if last and abs(rows - last) > share * last:
            return [
                f"{rows} rows differ from the {last} of the last scored day by more than {share:.0%} "
                f"({parameter} in params.yaml)"
            ]
        return []

    return audit
