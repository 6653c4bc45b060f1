"""Rows that break the contract, planted so that quarantine has something to show.

They come on top of the clean rows and never replace one: taking them out gives the clean set. Keys
of the planted rows are otherwise unused, except where the defect is the repeated key itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa

from features.schemas import Table
from pipelines.sources.simulation.churn.calendar import DAY_US
from pipelines.sources.simulation.churn.identifiers import identifiers

#: Rows planted so far: ``{table: {defect: rows}}``.
Planted = dict[str, dict[str, int]]
Change = Callable[[pa.Table], pa.Table]

_UNUSED = 990_000_000_000


def _put(column: str, value: object) -> Change:
    def change(rows: pa.Table) -> pa.Table:
        field = rows.schema.field(column)
        values = pa.array([value] * len(rows), type=field.type)
        return rows.set_column(rows.schema.get_field_index(column), field, values)

    return change


_UNKNOWN = ("unknown_account", _put("account_id", "AC-000000000"))
_MISSING = ("missing_account_id", _put("account_id", None))
_DEFECTS: dict[str, tuple[tuple[str, Change], ...]] = {
    "accounts": (
        ("employees_below_minimum", _put("employees", 0)),
        ("missing_signed_up_on", _put("signed_up_on", None)),
    ),
    "subscriptions": (
        ("plan_tier_not_allowed", _put("plan_tier", "platinum")),
        ("seats_below_minimum", _put("seats", 0)),
        _MISSING,
        _UNKNOWN,
        ("conflicting_duplicate", _put("mrr_eur", 0.01)),
    ),
    "usage_events": (
        ("negative_duration", _put("duration_min", -5.0)),
        ("logins_below_minimum", _put("logins", 0)),
        _MISSING,
        _UNKNOWN,
        ("conflicting_duplicate", _put("logins", 999)),
    ),
    "invoices": (
        ("status_not_allowed", _put("status", "lost_in_post")),
        ("negative_amount", _put("amount_eur", -12.5)),
        _UNKNOWN,
    ),
    "support_tickets": (
        ("csat_out_of_range", _put("csat", 9)),
        ("kind_not_allowed", _put("kind", "complaint")),
        _UNKNOWN,
    ),
}


def dirty_rows(
    rng: np.random.Generator, table: Table, clean: pa.Table, *, rows: int, start: int
) -> Iterator[tuple[str, pa.Table]]:
    """Bad rows of one table, by defect; at least one of each if ``rows`` is positive.

    Parameters
    ----------
    clean
        Clean rows to imitate, with plain (not dictionary-encoded) strings.
    rows
        About how many bad rows in all.
    start
        First delivered day; the days before it have no use of the product.
    """
    defects = _DEFECTS[table.name]
    each = max(1, rows // len(defects)) if rows > 0 else 0
    if each == 0 or len(clean) == 0:
        return
    each = min(each, len(clean))
    for position, (defect, change) in enumerate(defects):
        picked = np.sort(rng.choice(len(clean), each, replace=False))
        sample = clean.take(pa.array(picked))
        if defect != "conflicting_duplicate":
            sample = _unused_key(table, sample, position, start)
        yield defect, change(sample)


def _unused_key(table: Table, rows: pa.Table, position: int, start: int) -> pa.Table:
    """Give rows keys that no clean row has."""
    n = len(rows)
    number = np.arange(n, dtype=np.int64) + position * 1_000_000
    key = table.key[0]
    if table.name == "usage_events":
        # Each row a day of its own before the first delivered one, so that no key repeats.
        day = start - 1 - number % 1_000_000 - 10_000 * position
        rows = _replace(rows, "used_on", pa.array(day.astype("datetime64[D]")))
        return _replace(rows, "known_at", pa.array(((day + 1) * DAY_US).astype("datetime64[us]")))
    if table.name == "accounts":
        known = rows["known_at"].to_numpy().astype(np.int64) + 1 + position
        return _replace(rows, "known_at", pa.array(known.astype("datetime64[us]")))
    return _replace(rows, key, identifiers("X", _UNUSED + number, 12))


def _replace(rows: pa.Table, column: str, values: pa.Array) -> pa.Table:
    return rows.set_column(rows.schema.get_field_index(column), column, values)
