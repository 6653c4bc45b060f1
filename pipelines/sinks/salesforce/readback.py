"""Reading a sample back after a load: "accepted" and "stored as sent" are different claims."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import polars as pl
from simple_salesforce.format import quote_soql_value

from pipelines.sinks.salesforce.connection import Connection
from pipelines.sinks.salesforce.target import Null, SalesforceTarget

_IDS_PER_QUERY = 200


def select_by_ids(
    connection: Connection, target: SalesforceTarget, columns: Sequence[str], external_ids: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Read records by external id, some hundred per query."""
    chosen = ", ".join(dict.fromkeys(["Id", target.external_id_field, *columns]))
    for start in range(0, len(external_ids), _IDS_PER_QUERY):
        ids = ", ".join(quote_soql_value(value) for value in external_ids[start : start + _IDS_PER_QUERY])
        yield from connection.query(
            f"SELECT {chosen} FROM {target.object} WHERE {target.external_id_field} IN ({ids})"
        )


def remote_ids(connection: Connection, target: SalesforceTarget, external_ids: pl.Series) -> dict[str, str]:
    """Salesforce ids of the records that exist, by external id."""
    records = select_by_ids(connection, target, (), external_ids.to_list())
    return {str(record[target.external_id_field]): str(record["Id"]) for record in records}


def differences(
    connection: Connection,
    target: SalesforceTarget,
    described: Mapping[str, Mapping[str, Any]],
    sent: pl.DataFrame,
    removed: Sequence[str],
) -> list[str]:
    """Tell in words where a sample differs from what Salesforce stores; none is good.

    ``described`` is the describe entry of each column: numbers are compared at the scale of their field.
    ``sent`` is a sample of the wanted rows, in the columns of the target; ``removed`` are external ids that
    must no longer exist.
    """
    names, key = list(target.fields), target.external_id_field
    wanted = {str(row[key]): row for row in sent.iter_rows(named=True)}
    held = {str(r[key]): r for r in select_by_ids(connection, target, names, [*wanted, *removed])}
    found = [f"{key} {name} was deleted but is still there" for name in removed if name in held]
    for external_id, row in wanted.items():
        record = held.get(external_id)
        if record is None:
            found.append(f"{key} {external_id} was accepted but is not there")
            continue
        for name in names:
            if row[name] is None and target.fields[name] is Null.KEEP:
                continue
            stored = _stored(record, name)
            if not _same(row[name], stored, described[name]):
                found.append(f"{external_id}: {name} was sent as {row[name]!r}, is {stored!r}")
    return found


def _stored(record: Mapping[str, Any], name: str) -> Any:
    value: Any = record
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _same(wanted: Any, stored: Any, field: Mapping[str, Any]) -> bool:
    if wanted is None or wanted == "":
        return stored in (None, "")
    if stored is None:
        return False
    if isinstance(wanted, bool):
        return bool(stored) is wanted
    if isinstance(wanted, int | float | Decimal):
        step = Decimal(1).scaleb(-int(field.get("scale") or 0))
        halves = [Decimal(str(v)).quantize(step, ROUND_HALF_UP) for v in (wanted, stored)]
        return halves[0] == halves[1]
    if isinstance(wanted, datetime):
        moment = wanted if wanted.tzinfo else wanted.replace(tzinfo=UTC)
        read = datetime.fromisoformat(str(stored))
        return abs((moment - read).total_seconds()) < 1  # some fields keep no milliseconds
    if hasattr(wanted, "isoformat"):
        return str(wanted.isoformat()) == str(stored)
    # Salesforce trims texts and stores every line end as \n.
    tidy = [str(v).replace("\r\n", "\n").replace("\r", "\n").strip() for v in (wanted, stored)]
    return tidy[0] == tidy[1]
