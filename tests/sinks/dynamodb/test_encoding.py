"""Rows as DynamoDB's JSON: what goes in comes out, exactly, and sizes are never understated."""

from __future__ import annotations

import json
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from itertools import pairwise
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import DataContractError
from pipelines.sinks.dynamodb.encoding import encode, item_hashes, lines
from pipelines.sinks.dynamodb.outbound import Outbound
from pipelines.sinks.dynamodb.target import DynamoTarget
from pipelines.sinks.dynamodb.versions import plain

TARGET = DynamoTarget("millrace", "demand", "key", retention_days=14)
VERSION, EXPIRES = "20260105-000001-0123456789ab-abcdef", 1768867200


def items(frame: pl.DataFrame, target: DynamoTarget = TARGET) -> list[dict[str, Any]]:
    """Items as a reader gets them, without what the sink adds."""
    made = lines(encode(frame, target), target, version=VERSION, expires_at=EXPIRES)
    found = [plain(json.loads(line)["PutRequest"]["Item"]) for line in made]
    for item in found:
        assert (item.pop("sk"), item.pop("expires_at")) == (VERSION, EXPIRES)
    return found


def quantised(value: float, decimals: int) -> Decimal:
    with localcontext(prec=60):
        return Decimal(str(value)).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_EVEN)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.floats(-1e20, 1e20, allow_nan=False)
        | st.integers(-(10**9), 10**9).map(lambda n: (n + 0.5) / 1000),
        min_size=1,
        max_size=30,
    ),
    st.sampled_from([0, 3, 6]),
)
def test_a_float_is_its_shortest_decimal_rounded_half_to_even(values: list[float], decimals: int) -> None:
    target = DynamoTarget("millrace", "demand", "key", retention_days=14, decimals=decimals)
    frame = pl.DataFrame(
        {"key": [str(i) for i in range(len(values))], "one": values, "list": [values] * len(values)}
    )
    wanted = [quantised(value, decimals) for value in values]
    found = items(frame, target)
    assert [item["one"] for item in found] == wanted
    assert found[0]["list"] == wanted
    text = lines(encode(frame, target), target, version=VERSION, expires_at=EXPIRES)
    numbers = [json.loads(line)["PutRequest"]["Item"]["one"]["N"] for line in text]
    assert not [number for number in numbers if number.startswith("-0") and float(number) == 0]
    assert not [number for number in numbers if "." in number and number.endswith("0")], "no trailing zeros"


texts = st.text(st.characters(codec="utf-8"), max_size=12)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(texts, st.lists(texts, max_size=3)), min_size=1, max_size=8))
def test_texts_survive_whatever_is_in_them(values: list[tuple[str, list[str]]]) -> None:
    keys = [f"k{number}-{one}" for number, (one, _) in enumerate(values)]
    frame = pl.DataFrame(
        {"key": keys, "one": [one for one, _ in values], "many": [many for _, many in values]},
        schema_overrides={"many": pl.List(pl.String)},
    )
    assert items(frame) == [
        {"pk": f"demand#{key}", "one": one, "many": many}
        for key, (one, many) in zip(keys, values, strict=True)
    ]


def test_every_type_has_its_notation_and_null_is_an_absent_attribute() -> None:
    frame = pl.DataFrame(
        {
            "key": ["a", "b"],
            "text": ["x", None],
            "whole": [7, None],
            "exact": pl.Series([Decimal("1.2345"), None], dtype=pl.Decimal(10, 4)),
            "flag": [False, None],
            "day": [date(2026, 1, 5), None],
            "list": [[1, 2], None],
            "empty": [[], None],
            "nothing": [None, None],
        },
        schema_overrides={"empty": pl.List(pl.Float64)},
    )
    first = {
        "pk": "demand#a", "text": "x", "whole": 7, "exact": Decimal("1.234"), "flag": False, "day": "2026-01-05",
        "list": [1, 2], "empty": [],
    }  # fmt: skip
    assert items(frame) == [first, {"pk": "demand#b"}]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 1e36])
def test_numbers_that_are_none_are_refused_with_key_and_field(value: float) -> None:
    with pytest.raises(
        DataContractError, match=r"quantity must hold finite.*for the key 'b' \(offending rows: 1\)"
    ):
        encode(pl.DataFrame({"key": ["a", "b"], "quantity": [1.0, value]}), TARGET)
    with pytest.raises(
        DataContractError, match=r"quantity must hold finite.*got \[2.0, .*\] for the key 'b'"
    ):
        encode(pl.DataFrame({"key": ["a", "b"], "quantity": [[1.0], [2.0, value]]}), TARGET)


def test_a_list_with_a_hole_is_refused() -> None:
    with pytest.raises(DataContractError, match="lists no null"):
        encode(pl.DataFrame({"key": ["a"], "quantity": [[1.0, None]]}), TARGET)
    with pytest.raises(DataContractError, match="lists no null"):
        encode(pl.DataFrame({"key": ["a"], "names": [["x", None]]}), TARGET)


@pytest.mark.parametrize(
    ("column", "words"),
    [("pk", "the sink writes itself|which the"), ("expires_at", "which the"), ("a b", "letters"), ('x"', "letters")],
)  # fmt: skip
def test_names_that_cannot_be_attributes_are_refused(column: str, words: str) -> None:
    with pytest.raises(DataContractError, match=words):
        encode(pl.DataFrame({"key": ["a"], column: ["x"]}), TARGET)


@pytest.mark.parametrize(
    ("key", "words"),
    [(None, "not be empty"), ("", "not be empty"), ("@current", "begin with '@'"), ("x" * 2042, "at most 2041 bytes")],
)  # fmt: skip
def test_keys_that_cannot_be_keys_are_refused(key: str | None, words: str) -> None:
    with pytest.raises(DataContractError, match=words):
        encode(pl.DataFrame({"key": ["a", key], "v": [1, 2]}), TARGET)


def test_a_type_without_notation_is_refused() -> None:
    with pytest.raises(DataContractError, match=r"v has the type Struct.* no notation"):
        encode(pl.DataFrame({"key": ["a"], "v": [{"a": 1}]}), TARGET)


def real_size(value: dict[str, Any]) -> int:
    """Bytes of an attribute's value by the rules of the service."""
    ((tag, content),) = value.items()
    if tag == "S":
        return len(content.encode())
    if tag == "N":
        digits = content.lstrip("-").replace(".", "").strip("0")
        return (len(digits) + 1) // 2 + 1 + content.startswith("-")
    if tag == "L":
        return 3 + sum(1 + real_size(element) for element in content)
    return 1


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(-1e9, 1e9), max_size=20),
    st.lists(texts, max_size=5),
    texts,
    st.integers(-(10**12), 10**12),
    st.booleans(),
)
def test_sizes_are_never_understated_and_hardly_overstated(
    numbers: list[float], many: list[str], one: str, whole: int, flag: bool
) -> None:
    columns = {
        "key": ["key"],
        "numbers": [numbers],
        "many": [many],
        "one": [one],
        "whole": [whole],
        "flag": [flag],
    }
    frame = pl.DataFrame(
        columns, schema_overrides={"numbers": pl.List(pl.Float64), "many": pl.List(pl.String)}
    )
    encoded = encode(frame, TARGET)
    (line,) = lines(encoded, TARGET, version=VERSION, expires_at=EXPIRES)
    item = json.loads(line)["PutRequest"]["Item"]
    real = sum(len(name.encode()) + real_size(value) for name, value in item.items())
    quotes_and_escapes = len(json.dumps(many)) + len(json.dumps(one))
    assert real <= encoded["bytes"][0] <= real + 2 * len(numbers) + quotes_and_escapes + 60


def test_an_item_above_the_services_limit_is_refused_by_name() -> None:
    frame = pl.DataFrame({"key": ["small", "large"], "text": ["x", "x" * 410_000]})
    with pytest.raises(DataContractError, match=r"at most 409600 bytes, got 41\d{4}; offending: 'large'"):
        encode(frame, TARGET)


def test_the_hash_is_of_key_and_content_and_not_of_the_version() -> None:
    frame = pl.DataFrame({"key": ["a", "b", "a"], "v": [1, 1, 2]})
    first, second, third = item_hashes(encode(frame, TARGET))
    assert len({first, second, third}) == 3
    assert item_hashes(encode(frame[:1], TARGET)).to_list() == [first]


def test_items_travel_in_an_order_that_has_nothing_to_do_with_their_keys() -> None:
    count = 200
    rows = pa.table({"key": [f"S{n // 20:02d}#K{n:03d}" for n in range(count)], "v": list(range(count))})
    outbound = Outbound(rows, date(2026, 1, 5), TARGET)
    keys = outbound.items(outbound.wanted["external_id"], "v1")["external_id"].to_list()
    assert sorted(keys) == rows["key"].to_pylist()
    again = Outbound(rows.take(list(reversed(range(count)))), date(2026, 1, 5), TARGET)
    assert again.items(again.wanted["external_id"], "v1")["external_id"].to_list() == keys, (
        "the same every time"
    )
    stores = [key[:3] for key in keys]
    neighbours = sum(one == other for one, other in pairwise(stores))
    assert neighbours < 50, "in key order it would be 190"
    assert max(stores[:25].count(store) for store in set(stores)) < 10
    plan = outbound.plan(50)
    assert plan["chunk"].value_counts().sort("chunk").rows() == [(0, 50), (1, 50), (2, 50), (3, 50)]
    first = plan.filter(pl.col("chunk") == 0)["external_id"].str.head(3)
    assert first.n_unique() >= 8, "a chunk is of all stores, not of the first three"
    assert outbound.key() == again.key()
    other = Outbound(rows, date(2026, 1, 6), TARGET)
    assert other.key() != outbound.key()
