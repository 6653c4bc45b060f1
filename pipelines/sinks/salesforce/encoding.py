"""Rows as the CSV that Bulk API 2.0 reads, encoded and cut into chunks column-wise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.errors import DataContractError
from pipelines.sinks.outbound import check_filled, check_unique, hashes
from pipelines.sinks.salesforce.target import Null, SalesforceTarget

#: What Bulk API 2.0 reads as "set this field to null"; an empty cell means "leave it".
CLEARED = "#N/A"
NEWLINE = "\r\n"


def quoted(column: pl.Expr) -> pl.Expr:
    """RFC 4180 cell: quoted if it holds a quote, a comma or a line end, quotes doubled."""
    special = column.str.contains(r'[",\r\n]')
    return (
        pl.when(special)
        .then(pl.concat_str(pl.lit('"'), column.str.replace_all('"', '""', literal=True), pl.lit('"')))
        .otherwise(column)
    )


def as_text(frame: pl.DataFrame, name: str) -> pl.Expr:
    """Values of a column in the notation that Salesforce reads, if they have one; null stays null."""
    column, dtype = pl.col(name), frame.schema[name]
    if dtype == pl.String:
        if frame[name].eq(CLEARED).any():
            raise DataContractError(
                f"{name} must not be the text {CLEARED!r}, which Salesforce reads as null; use null instead"
            )
        return column
    if dtype.is_float():
        bad = frame.filter(column.is_not_null() & ~column.is_finite())
        if bad.height:
            raise DataContractError(f"{name} must be finite, got {bad[name][0]} (offending: {bad.height})")
        return column.cast(pl.String)
    if dtype.is_integer() or dtype.is_decimal() or dtype == pl.Null:
        return column.cast(pl.String)
    if dtype == pl.Boolean:
        return pl.when(column).then(pl.lit("true")).when(~column).then(pl.lit("false"))
    if dtype == pl.Date:
        return column.dt.strftime("%Y-%m-%d")
    if isinstance(dtype, pl.Datetime):
        utc = column.dt.convert_time_zone("UTC") if dtype.time_zone else column
        return utc.dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
    raise DataContractError(f"{name} has the type {dtype}, which has no notation in Salesforce: cast it")


def header(columns: Sequence[str]) -> str:
    """First line of the file."""
    return ",".join(columns) + NEWLINE


def encode(rows: pa.Table, target: SalesforceTarget) -> pl.DataFrame:
    """Encode the wanted rows, exactly the columns ``target.columns`` in any order.

    Returns ``external_id``, ``sort_key``, ``line`` (with its line end), ``payload_hash``; ordered by the sort
    key and external id, so that equal rows give equal files. Raises ``DataContractError`` if columns are
    missing or not declared, an external id is null, empty or repeated, or a value cannot be written.
    """
    missing = [name for name in target.columns if name not in rows.column_names]
    extra = [name for name in rows.column_names if name not in target.columns]
    if missing or extra:
        raise DataContractError(
            f"{target.object}: columns must be {target.columns}, missing {missing}, not declared {extra}"
        )
    frame = pl.DataFrame(rows.select(target.columns))
    key = target.external_id_field
    text = frame.select(**{name: as_text(frame, name) for name in target.columns})
    check_filled(text[key], f"{target.object}.{key}", "an external id")
    check_unique(text[key], f"{target.object}.{key}")
    cells = [quoted(pl.col(key))]
    for name, policy in target.fields.items():
        # Salesforce has no empty text: "" asks for an empty field, whatever null asks for.
        emptied = pl.when(pl.col(name) == "").then(pl.lit(CLEARED)).otherwise(quoted(pl.col(name)))
        cells.append(emptied.fill_null(CLEARED if policy is Null.CLEAR else ""))
    lines = text.select(external_id=pl.col(key), line=_line(cells), sort_key=pl.col(target.sort_by))
    return _finished(lines, target)


def encode_cleared(external_ids: pl.Series, target: SalesforceTarget) -> pl.DataFrame:
    """Rows that null every field but the external id and the lookups, in the shape of :func:`encode`."""
    cells = [quoted(pl.col("external_id"))]
    cells += [pl.lit("" if "." in name else CLEARED) for name in target.fields]
    text = pl.DataFrame({"external_id": external_ids.cast(pl.String)})
    return _finished(text.select("external_id", line=_line(cells), sort_key=pl.lit("")), target)


def encode_deletes(rows: pl.DataFrame) -> pl.DataFrame:
    """Lines of a delete file: the ids that Salesforce gave, in ``remote_id``."""
    return rows.select("external_id", sort_key=pl.lit(""), line=pl.col("remote_id") + NEWLINE)


def chunk_numbers(
    lines: pl.Series, columns: Sequence[str], *, max_bytes: int, max_rows: int, first: int = 0
) -> NDArray[np.int64]:
    """Number the chunk of each line from ``first`` on: in order, none above the limits (inclusive) with its header."""
    sizes = lines.str.len_bytes().to_numpy().astype(np.int64)
    room = max_bytes - len(header(columns).encode())
    if len(sizes) and sizes.max() > room:
        at = int(sizes.argmax())
        raise DataContractError(
            f"a row must fit into a file of {max_bytes} bytes with its header, got {sizes[at]} bytes "
            f"where {room} are left; offending: {lines[at][:60]!r}"
        )
    ends = np.cumsum(sizes)
    numbers = np.empty(len(sizes), dtype=np.int64)
    start, number = 0, first
    while start < len(sizes):
        done = ends[start - 1] if start else 0
        stop = min(int(np.searchsorted(ends, done + room, side="right")), start + max_rows)
        numbers[start:stop] = number
        start, number = stop, number + 1
    return numbers


def file_bytes(lines: pl.Series, columns: Sequence[str]) -> bytes:
    """Encode a file."""
    return (header(columns) + str(lines.str.join("").item())).encode()


def _line(cells: list[pl.Expr]) -> pl.Expr:
    return pl.concat_str(cells, separator=",") + NEWLINE


def _finished(rows: pl.DataFrame, target: SalesforceTarget) -> pl.DataFrame:
    """Add the hash of the header and the line, so that another mapping is another payload."""
    hashed = rows.with_columns(hashes(rows, pl.lit(header(target.columns)) + pl.col("line")))
    return hashed.sort("sort_key", "external_id", nulls_last=True)
