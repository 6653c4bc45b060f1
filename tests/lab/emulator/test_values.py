from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.lab.emulator.csvio import parse, render
from pipelines.lab.emulator.ids import make_id, with_suffix
from pipelines.lab.emulator.objects import Field
from pipelines.lab.emulator.values import KEEP, convert, from_csv

NUMBER = Field("Score__c", "Score", "double", precision=5, scale=2)


@pytest.mark.parametrize(
    ("short", "long"),
    [("001A0000006Vm9u", "001A0000006Vm9uIAC"), ("00D000000000062", "00D000000000062EAA")],
)
def test_ids_have_the_published_suffix(short: str, long: str) -> None:
    """Ids printed in the developer guides (Account in the REST guide, organization in the SOAP guide)."""
    assert with_suffix(short) == long


def test_ids_are_distinct() -> None:
    ids = {make_id("a00", n) for n in range(5000)}
    assert len(ids) == 5000
    assert {len(i) for i in ids} == {18}


@pytest.mark.parametrize(
    ("field", "cell", "value"),
    [
        (NUMBER, "1e2", 100.0),
        (NUMBER, "-0.005", -0.01),
        (NUMBER, "0.125", 0.13),
        (NUMBER, ".5", 0.5),
        (Field("N", "N", "int", precision=3), "7.0", 7.0),
        (Field("D", "D", "date"), "2026-11-16", "2026-11-16"),
        (Field("D", "D", "date"), "1940-06-07Z", "1940-06-07"),
        (Field("T", "T", "datetime"), "2026-11-16T08:00:00+01:00", "2026-11-16T07:00:00.000+0000"),
        (Field("B", "B", "boolean"), "TRUE", 1),
        (Field("P", "P", "picklist", length=255, picklist=(("a", "A"),)), "other", "other"),
        (Field("R", "R", "reference"), "001A0000006Vm9u", "001A0000006Vm9uIAC"),
    ],
)
def test_cells_become_values(field: Field, cell: str, value: object) -> None:
    """Bulk API 2.0 Developer Guide, "Valid CSV Record Rows" and "Valid Date Format in Records"."""
    assert convert(field, [cell]) == ([value], {})


@pytest.mark.parametrize(
    ("field", "cell", "code"),
    [
        (NUMBER, "nan", "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        (NUMBER, "1_000", "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        (NUMBER, "1,5", "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        (NUMBER, "999.995", "NUMBER_OUTSIDE_VALID_RANGE"),
        (NUMBER, "1e400", "NUMBER_OUTSIDE_VALID_RANGE"),
        (Field("N", "N", "int", precision=3), "7.5", "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        (Field("D", "D", "date"), "16/11/2026", "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        (Field("D", "D", "date"), "2026-02-30", "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        (Field("T", "T", "datetime"), "noon", "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        (Field("B", "B", "boolean"), "yes", "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        (Field("S", "S", "string", length=2), "abc", "STRING_TOO_LONG"),
        (Field("R", "R", "reference"), "001", "MALFORMED_ID"),
    ],
)
def test_bad_cells_leave_the_field_alone_and_name_the_code(field: Field, cell: str, code: str) -> None:
    values, errors = convert(field, [KEEP, cell, None])
    assert values == [KEEP, KEEP, None]
    assert {row: error.code for row, error in errors.items()} == {1: code}


def test_empty_and_na_are_told_apart() -> None:
    assert from_csv(["", "#N/A", "#N/A ", "x"]) == [KEEP, None, "#N/A ", "x"]


@given(
    rows=st.lists(
        st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=2, max_size=2)
    ),
    delimiter=st.sampled_from(["COMMA", "TAB", "PIPE", "SEMICOLON", "CARET", "BACKQUOTE"]),
    line_ending=st.sampled_from(["LF", "CRLF"]),
)
def test_what_is_written_is_read_back(rows: list[list[str]], delimiter: str, line_ending: str) -> None:
    content = render(("sf__Id",), ["Key__c"], rows, delimiter, line_ending)
    assert parse(content, delimiter, line_ending) == (["sf__Id", "Key__c"], rows)
