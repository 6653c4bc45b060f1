"""The CSV that goes out is the CSV that was meant, and never larger than allowed."""

from __future__ import annotations

import csv
import io
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from itertools import pairwise

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import DataContractError
from pipelines.sinks.salesforce.encoding import (
    chunk_numbers,
    encode,
    encode_cleared,
    encode_deletes,
    file_bytes,
    header,
)
from pipelines.sinks.salesforce.target import Null, SalesforceTarget

TARGET = SalesforceTarget(
    "O__c",
    "Key__c",
    {"Parent__r.Key__c": Null.CLEAR, "A__c": Null.CLEAR, "B__c": Null.KEEP},
    "Parent__r.Key__c",
)
# Everything that CSV, spreadsheets and encodings trip over; NUL cannot be stored in a CSV reader's text.
TEXTS = st.text(
    st.sampled_from("a\"',;\n\r\t =+-@é漢\U0001f600#N/A ")
    | st.characters(codec="utf-8", exclude_characters="\x00"),
    max_size=30,
).filter(lambda text: text != "#N/A")
ROWS = st.lists(st.tuples(st.none() | TEXTS, st.none() | TEXTS, st.none() | TEXTS), min_size=1, max_size=20)


def table(rows: list[tuple[str | None, str | None, str | None]]) -> pa.Table:
    columns = list(zip(*rows, strict=True))
    return pa.table(
        {
            "Key__c": [f"k{i:03d}" for i in range(len(rows))],
            "Parent__r.Key__c": pa.array(columns[0], pa.string()),
            "A__c": pa.array(columns[1], pa.string()),
            "B__c": pa.array(columns[2], pa.string()),
        }
    )


def parse(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))


def meant(value: str | None, policy: Null) -> str:
    if value == "":
        return "#N/A"
    if value is None:
        return "#N/A" if policy is Null.CLEAR else ""
    return value


@settings(deadline=None)
@given(ROWS)
def test_any_text_is_read_back_as_it_was(rows: list[tuple[str | None, str | None, str | None]]) -> None:
    encoded = encode(table(rows), TARGET)
    head, *lines = parse(file_bytes(encoded["line"], TARGET.columns))
    assert head == TARGET.columns
    policies = list(TARGET.fields.values())
    expected = {
        f"k{i:03d}": [meant(v, p) for v, p in zip(row, policies, strict=True)] for i, row in enumerate(rows)
    }
    assert {line[0]: line[1:] for line in lines} == expected
    assert len(lines) == len(rows)


@settings(deadline=None)
@given(ROWS, st.integers(60, 400), st.integers(1, 7))
def test_chunks_never_exceed_their_limits_and_are_full(
    rows: list[tuple[str | None, str | None, str | None]], max_bytes: int, max_rows: int
) -> None:
    lines = encode(table(rows), TARGET)["line"]
    room = max_bytes - len(header(TARGET.columns).encode())
    sizes = [len(line.encode()) for line in lines]
    if max(sizes) > room:
        with pytest.raises(DataContractError, match="must fit into a file"):
            chunk_numbers(lines, TARGET.columns, max_bytes=max_bytes, max_rows=max_rows)
        return
    numbers = chunk_numbers(lines, TARGET.columns, max_bytes=max_bytes, max_rows=max_rows, first=3)
    chunks = [lines.filter(pl.Series(numbers == n)) for n in range(3, numbers[-1] + 1)]
    assert pl.concat(chunks).to_list() == lines.to_list()  # in order, none lost, none twice
    for chunk in chunks:
        assert len(file_bytes(chunk, TARGET.columns)) <= max_bytes
        assert len(chunk) <= max_rows
    for this, following in pairwise(chunks):
        bigger = len(file_bytes(this, TARGET.columns)) + len(following[0].encode())
        assert bigger > max_bytes or len(this) == max_rows


def test_limit_counts_bytes_with_quotes_and_line_ends() -> None:
    lines = encode(table([('é"', "a,b", "c")] * 2), TARGET)["line"]
    whole = len(file_bytes(lines, TARGET.columns))
    assert set(chunk_numbers(lines, TARGET.columns, max_bytes=whole, max_rows=9)) == {0}
    assert list(chunk_numbers(lines, TARGET.columns, max_bytes=whole - 1, max_rows=9)) == [0, 1]


def test_types_take_the_notation_of_salesforce() -> None:
    fields = dict.fromkeys(["I", "F", "D", "Yes", "Day", "At", "AtZone"], Null.CLEAR)
    target = SalesforceTarget("O__c", "Key__c", fields, "Key__c")
    moment = datetime(2025, 1, 6, 8, 30, 15, 250_000)  # noqa: DTZ001 - as Arrow gives it, without a zone
    rows = pa.table(
        {
            "Key__c": ["k"],
            "I": [7],
            "F": [0.1],
            "D": pa.array([Decimal("12.50")], pa.decimal128(9, 2)),
            "Yes": [True],
            "Day": [date(2025, 1, 6)],
            "At": pa.array([moment], pa.timestamp("us")),
            "AtZone": pa.array(
                [moment.replace(tzinfo=timezone(timedelta(hours=1)))], pa.timestamp("us", "Europe/Paris")
            ),
        }
    )
    line = encode(rows, target)["line"][0]
    assert line == "k,7,0.1,12.50,true,2025-01-06,2025-01-06T08:30:15.250Z,2025-01-06T07:30:15.250Z\r\n"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (table([("p", "#N/A", None)]), "A__c must not be the text '#N/A'"),
        (table([("p", "a", "b")]).drop_columns("B__c"), r"missing \['B__c'\]"),
        (table([("p", "a", "b")]).append_column("C__c", pa.array(["x"])), r"not declared \['C__c'\]"),
        (table([("p", "a", "b")]).set_column(2, "A__c", pa.array([float("nan")])), "A__c must be finite"),
        (table([("p", "a", "b")]).set_column(2, "A__c", pa.array([[1]])), "A__c has the type List"),
        (table([("p", "a", "b")]).set_column(0, "Key__c", pa.array([""])), "Key__c must not be empty"),
        (
            table([("p", "a", "b")]).set_column(0, "Key__c", pa.array([None], pa.string())),
            "Key__c must not be empty",
        ),
        (
            table([("p", "a", "b")] * 2).set_column(0, "Key__c", pa.array(["twin", "twin"])),
            r"must be unique, got 2 rows that share one; offending: \['twin'\]",
        ),
    ],
)
def test_what_cannot_be_written_is_refused_by_name(rows: pa.Table, message: str) -> None:
    with pytest.raises(DataContractError, match=message):
        encode(rows, TARGET)


def test_rows_travel_by_parent() -> None:
    encoded = encode(table([("p2", "a", "b"), ("p1", "a", "b"), (None, "a", "b"), ("p1", "a", "b")]), TARGET)
    assert encoded["external_id"].to_list() == ["k001", "k003", "k000", "k002"]


def test_hash_depends_on_values_and_mapping_only() -> None:
    rows = table([("p", "a", None), ("q", "b", "c")])
    hashes = dict(encode(rows, TARGET).select("external_id", "payload_hash").iter_rows())
    turned = encode(rows.take([1, 0]).select(rows.column_names[::-1]), TARGET)
    assert dict(turned.select("external_id", "payload_hash").iter_rows()) == hashes
    changed = encode(table([("p", "a", "new"), ("q", "b", "c")]), TARGET)
    after = dict(changed.select("external_id", "payload_hash").iter_rows())
    assert (after["k000"] != hashes["k000"], after["k001"]) == (True, hashes["k001"])
    policy = SalesforceTarget("O__c", "Key__c", dict.fromkeys(TARGET.fields, Null.CLEAR), TARGET.sort_by)
    assert encode(rows, policy)["payload_hash"].to_list()[0] != hashes["k000"]


def test_cleared_rows_empty_the_fields_and_leave_the_lookup() -> None:
    encoded = encode_cleared(pl.Series(["k,1"]), TARGET)
    assert encoded["line"].to_list() == ['"k,1",,#N/A,#N/A\r\n']


def test_deletes_carry_the_id_of_salesforce() -> None:
    rows = pl.DataFrame({"external_id": ["k"], "remote_id": ["a005f0000000001AAA"]})
    assert file_bytes(encode_deletes(rows)["line"], ["Id"]) == b"Id\r\na005f0000000001AAA\r\n"
