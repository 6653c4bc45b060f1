"""What is told about one customer's next order: the date, and a sentence for each product."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pytest

from features.pseudonyms import pseudonym
from pipelines.errors import DataContractError
from pipelines.io.lake import Lake
from pipelines.settings import Settings
from pipelines.usecases.repurchase import USECASE, scoring
from pipelines.usecases.repurchase.schemas import BASKETS, NEXT_ORDERS

DAY = date(2026, 1, 5)
KEY = pseudonym("C-1", key=b"key of the tests")
EMPTY = pseudonym("C-2", key=b"key of the tests")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    made = Settings(var=tmp_path_factory.mktemp("explain"))
    lake = Lake.of(made)
    heads = [
        {
            "as_of": DAY, "customer_key": key, "return_probability": 0.812, "expected_on": DAY + timedelta(days=7),
            "window_from": DAY + timedelta(days=4), "window_to": DAY + timedelta(days=15), "expected_days": 7.0,
            "orders": 3, "days_since_last": 1, "gap_median_days": 10.0, "candidates": 2, "products": products,
            "expected_f1": 0.5, "nothing_probability": 0.61, "top_products": json.dumps(["P1"]),
            "model_version": "repurchase/1",
        }
        for key, products in ((KEY, 2), (EMPTY, 0))
    ]  # fmt: skip
    listed = [
        {
            "as_of": DAY,
            "customer_key": KEY,
            "product_id": f"P{rank}",
            "rank": rank,
            "probability": 1 - rank / 10,
        }
        for rank in (2, 1)
    ]
    for table, rows in ((NEXT_ORDERS, heads), (BASKETS, listed)):
        lake.append(table, pa.Table.from_pylist(rows, schema=table.arrow_schema))
    return made


def explained(settings: Settings, customer: str) -> dict[str, Any]:
    return USECASE.explain.run(USECASE.run(DAY, settings), [customer])


@pytest.mark.parametrize("customer", ["C-1", KEY], ids=["by natural id", "by pseudonym"])
def test_a_customer_is_explained_in_sentences(settings: Settings, customer: str) -> None:
    found = explained(settings, customer)
    assert (found["customer_key"], found["products"]) == (KEY, 2)
    assert found["when"][0].startswith(
        "81\u202f% chance of an order within the horizon; if so, around 12 Jan 2026"
    )
    assert found["when"][1] == "3 orders so far, the last 1 day ago."
    assert [line.partition(":")[0] for line in found["what"]] == ["P1", "P2"], "likeliest first"


def test_an_empty_list_is_explained_too(settings: Settings) -> None:
    [said] = explained(settings, "C-2")["what"]
    assert said.startswith("Nothing again is the best guess")
    assert "61\u202f%" in said


def test_a_habit_reads_like_a_sentence() -> None:
    row = {
        "times_bought": 5,
        "orders_since_last": 2,
        "cycle_orders": 2.5,
        "in_last_order": False,
        "streak": 0,
    }
    assert scoring._habit(row) == "; bought 5 times, last 2 orders ago, usually every 2.5 orders"
    always = {
        "times_bought": 3,
        "orders_since_last": 0,
        "cycle_orders": 1.0,
        "in_last_order": True,
        "streak": 3,
    }
    assert (
        scoring._habit(always)
        == "; bought 3 times, in the last order, usually every 1.0 orders, 3 times running"
    )


def test_a_stranger_is_an_error_that_says_what_to_do(settings: Settings) -> None:
    with pytest.raises(DataContractError, match="check the id"):
        explained(settings, "C-99")
