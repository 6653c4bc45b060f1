"""Ways in which the churn tables break their contract, see :mod:`pipelines.lab.simulation.dirt`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.schemas import Table
from pipelines.lab.simulation.days import DAY_US
from pipelines.lab.simulation.dirt import CONFLICT, Defect, plant, put
from pipelines.lab.simulation.identifiers import identifiers

_UNUSED = 990_000_000_000
_UNKNOWN = Defect("unknown_account", "account_id", "AC-000000000")
_MISSING = Defect("missing_account_id", "account_id", None)

DEFECTS: dict[str, tuple[Defect, ...]] = {
    "accounts": (
        Defect("employees_below_minimum", "employees", 0),
        Defect("missing_signed_up_on", "signed_up_on", None),
    ),
    "subscriptions": (
        Defect("plan_tier_not_allowed", "plan_tier", "platinum"),
        Defect("seats_below_minimum", "seats", 0),
        _MISSING,
        _UNKNOWN,
        Defect(CONFLICT, "seats", 99_999),
    ),
    "usage_events": (
        Defect("negative_duration", "duration_min", -5.0),
        Defect("logins_below_minimum", "logins", 0),
        _MISSING,
        _UNKNOWN,
        Defect(CONFLICT, "logins", 99_999),
    ),
    "invoices": (
        Defect("status_not_allowed", "status", "lost_in_post", lambda: pc.field("paid_on").is_null()),
        Defect("negative_amount", "amount_eur", -12.5),
        _UNKNOWN,
    ),
    "support_tickets": (
        Defect("csat_out_of_range", "csat", 9, lambda: pc.field("status") == "closed"),
        Defect("kind_not_allowed", "kind", "complaint"),
        _UNKNOWN,
    ),
}


def dirty_rows(
    rng: np.random.Generator, table: Table, clean: pa.Table, *, rows: int, start: int
) -> Iterator[tuple[str, pa.Table]]:
    """Bad rows of one table, by defect.

    Parameters
    ----------
    clean
        Clean rows to imitate, with plain (not dictionary-encoded) strings.
    rows
        About how many bad rows in all; at least one of each defect if positive.
    start
        First delivered day; the product was not used on the days before.
    """
    yield from plant(
        rng,
        DEFECTS[table.name],
        clean,
        rows=rows,
        unused_key=lambda sample, position: _unused_key(table, sample, position, start),
        models=_one_per_account if table.name == "usage_events" else lambda every: every,
    )


def _one_per_account(rows: pa.Table) -> pa.Table:
    _, first = np.unique(rows["account_id"].combine_chunks().dictionary_encode().indices, return_index=True)
    return rows.take(pa.array(first))


def _unused_key(table: Table, rows: pa.Table, position: int, start: int) -> pa.Table:
    """Give rows keys that no clean row has; ``position`` tells the defects of a table apart."""
    n = len(rows)
    if table.name == "usage_events":
        day = start - 1 - position
        used_on = pa.array(np.full(n, day).astype("datetime64[D]"))
        known = pa.array(np.full(n, (day + 1) * DAY_US).astype("datetime64[us]"))
        return put(put(rows, rows.schema.field("used_on"), used_on), rows.schema.field("known_at"), known)
    if table.name == "accounts":
        known_us = rows["known_at"].to_numpy().astype("datetime64[us]").astype(np.int64) + 1 + position
        return put(rows, rows.schema.field("known_at"), pa.array(known_us.astype("datetime64[us]")))
    number = _UNUSED + position * 1_000_000 + np.arange(n, dtype=np.int64)
    return put(rows, rows.schema.field(table.key[0]), identifiers("X", number, 12))
