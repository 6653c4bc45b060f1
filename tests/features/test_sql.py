"""The rules of a declared column, tried on values, and names that need quotes."""

from __future__ import annotations

import duckdb
import pytest

from features.schemas import Column, DType
from features.sql import column_rules, listed, literal, quoted

SCORE = Column("a score", DType.NUMBER, "Score.", minimum=0, maximum=1)
SEATS = Column("seats", DType.INTEGER, "Seats.", nullable=True, minimum=1)
PLAN = Column("plan", DType.STRING, "Plan.", allowed=("low", "it's high"))
MAIL = Column("mail", DType.STRING, "Address.", allowed=("none",), personal=True)


def broken(column: Column, value: object) -> list[str]:
    """Rules that a value breaks, with the value that is shown."""
    found = []
    with duckdb.connect() as con:
        con.execute(f"create table t ({quoted(column.name)} {column.dtype.sql})")
        con.execute("insert into t values (?)", [value])
        for rule in column_rules(column):
            shown = f"{rule.broken}, {rule.value or 'null'}"
            is_broken, got = con.execute(f"select {shown} from t").fetchall()[0]
            if is_broken:
                found.append(rule.words if got is None else f"{rule.words}, got {got}")
    return found


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        (SCORE, 0.0, []),
        (SCORE, 1.0, []),
        (SCORE, 1.5, ["a score must be <= 1, got 1.5"]),
        (SCORE, -0.5, ["a score must be >= 0, got -0.5"]),
        (SCORE, float("-inf"), ["a score must be finite, got -inf", "a score must be >= 0, got -inf"]),
        (SCORE, None, ["a score must not be null"]),
        (SEATS, None, []),
        (SEATS, 0, ["seats must be >= 1, got 0"]),
        (PLAN, "it's high", []),
        (PLAN, "high", ["plan must be one of low, it's high, got high"]),
        (MAIL, "jo@example.com", ["mail must be one of none"]),
    ],
)
def test_a_rule_is_broken_by_the_values_that_it_excludes(
    column: Column, value: object, expected: list[str]
) -> None:
    assert broken(column, value) == expected


def test_a_value_that_could_not_be_cast_is_not_null() -> None:
    (rule, *_) = column_rules(SCORE, delivered='"raw a score"')
    assert rule.broken == '"raw a score" is null'


def test_quotes_survive() -> None:
    names, text = ('a "b"', "c"), 'it\'s "x"'
    with duckdb.connect() as con:
        con.execute(
            f"create table t as select {literal(text)} as {quoted(names[0])}, 1 as {quoted(names[1])}"
        )
        assert con.execute(f"select {listed(names)} from t").fetchall() == [(text, 1)]


@pytest.mark.parametrize("dtype", list(DType))
def test_sql_and_arrow_have_the_same_types(dtype: DType) -> None:
    with duckdb.connect() as con:
        table = con.sql(f"select cast(null as {dtype.sql}) as value").to_arrow_table()
    assert table.schema.field("value").type == dtype.arrow
