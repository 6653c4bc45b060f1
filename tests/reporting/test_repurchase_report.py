"""The page of repurchase, from small tables: what marketing reads, and the judgement of the model."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from features.schemas import Table
from pipelines.io.lake import Lake
from pipelines.io.promotions import Outcome, Promotion, append_promotion
from pipelines.reporting.site import Missing
from pipelines.settings import Settings
from pipelines.steps import report
from pipelines.usecases.repurchase import USECASE
from pipelines.usecases.repurchase import page as repurchase_page
from pipelines.usecases.repurchase.plots import gain_curve
from pipelines.usecases.repurchase.schemas import (
    BASKET_VALIDATION,
    CURVES,
    NEXT_ORDERS,
    REALISED,
    TIMING_VALIDATION,
)

if TYPE_CHECKING:
    from tests.conftest import PageReader

DAY = date(2026, 1, 5)
TRAINED = date(2025, 12, 28)
SNAPSHOT = date(2025, 11, 1)
CUSTOMERS = 60
PRODUCTS = ("Bananas", "Whole milk", "Baguette <fresh>")


def write(lake: Lake, table: Table, rows: list[dict[str, Any]]) -> None:
    lake.overwrite(table, pa.Table.from_pylist(rows, schema=table.arrow_schema))


def predicted() -> list[dict[str, Any]]:
    """Customer 0 comes on the day itself, customer 59 in 29 days; every fifth list is empty."""
    return [
        {
            "as_of": DAY, "customer_key": f"{number:024x}", "return_probability": 1 - number / 60,
            "expected_on": DAY + timedelta(days=number // 2), "window_from": DAY + timedelta(days=number // 2),
            "window_to": DAY + timedelta(days=number // 2 + 9), "expected_days": number / 2, "orders": number + 1,
            "days_since_last": number, "gap_median_days": None if number == 0 else 7.0, "candidates": 3,
            "products": 0 if number % 5 == 0 else 2, "expected_f1": 0.4, "nothing_probability": 0.2,
            "top_products": json.dumps(["P0", "P1", "P2", "P9"][: number % 5]), "model_version": "repurchase/1",
        }
        for number in range(CUSTOMERS)
    ]  # fmt: skip


def raw(lake: Lake) -> None:
    products, orders, _ = USECASE.raw_tables
    known = datetime.combine(date(2025, 1, 1), time())
    write(
        lake, products,
        [{"product_id": f"P{n}", "product_name": name, "aisle": None, "department": None, "price_eur": 1.0,
          "known_at": known, "ingested_at": known} for n, name in enumerate(PRODUCTS)],
    )  # fmt: skip
    write(
        lake, orders,
        [{"order_id": f"O{n}", "customer_key": f"{n:024x}", "customer_id": f"shop-{n:04d}", "ordered_at": known,
          "known_at": known, "ingested_at": known} for n in range(CUSTOMERS)],
    )  # fmt: skip


def judged() -> dict[str, list[dict[str, Any]]]:
    """The challenger is right to the day, the median gap two days late; its lists hit two of three."""
    timing, baskets, curves = [], [], []
    for candidate, late in (("challenger", 0.0), ("median_gap", 2.0)):
        for number in range(50):
            came = None if number >= 40 else number % 20
            model = candidate == "challenger"
            timing.append(
                {
                    "as_of": TRAINED, "candidate": candidate, "snapshot": SNAPSHOT, "customer_key": f"{number:024x}",
                    "days_to_next": came, "judged_days": 28, "expected_days": number % 20 + late,
                    "low_days": max(0.0, number % 20 - 3.0 if number % 4 else number % 20 + 1.0) if model else None,
                    "high_days": number % 20 + 3.0 if model else None,
                    "return_probability": 0.8 if model else None,
                }
            )  # fmt: skip
    for candidate, hits in (("challenger", 2), ("last_order", 1)):
        for number in range(30):
            repeated = number % 3 * 3
            mine = min(hits, repeated)
            named = 0 if repeated == 0 and candidate == "challenger" else 3
            f1 = 1.0 if named + repeated == 0 else 2 * mine / (named + repeated)
            baskets.append(
                {
                    "as_of": TRAINED, "candidate": candidate, "snapshot": SNAPSHOT, "customer_key": f"{number:024x}",
                    "named": named, "hits": mine, "repeated": repeated, "bought": 7, "f1": f1, "expected_f1": 0.5,
                    "nothing_probability": 0.3,
                }
            )  # fmt: skip
    for kind in ("product", "return"):
        curves += [
            {"as_of": TRAINED, "candidate": "challenger", "kind": kind, "bin": place, "rows": 100, "predicted": 1 / place,
             "observed": 0.95 / place} for place in range(1, 6)
        ]  # fmt: skip
    return {"timing": timing, "baskets": baskets, "curves": curves}


def realised() -> list[dict[str, Any]]:
    return [
        {
            "as_of": DAY - timedelta(days=40 - number), "group": group, "customers": 100, "returned": 60 + number,
            "expected_returns": 62.0, "in_window": 48, "absolute_error_days": 200.0, "baseline_error_days": 300.0,
            "judged_lists": 50, "named": 150, "hits": 80, "repeated": 160, "f1_sum": 25.0, "expected_f1_sum": 26.0,
            "model_version": "repurchase/1",
        }
        for number in range(5) for group in ("all", "1-5")
    ]  # fmt: skip


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(var=tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def lake(settings: Settings) -> Lake:
    made = Lake.of(settings)
    raw(made)
    write(made, NEXT_ORDERS, predicted())
    parts = judged()
    write(made, TIMING_VALIDATION, parts["timing"])
    write(made, BASKET_VALIDATION, parts["baskets"])
    write(made, CURVES, parts["curves"])
    write(made, REALISED, realised())
    words = "The challenger names dates and lists better than simple rules."
    append_promotion(
        made,
        Promotion(
            "repurchase",
            TRAINED,
            "repurchase/1",
            Outcome.PROMOTED,
            words,
            datetime.combine(TRAINED, time(2)),
            "gate:1",
        ),
    )
    return made


@pytest.fixture(scope="module")
def page(lake: Lake, settings: Settings, read_page: Callable[[Path], PageReader]) -> PageReader:
    record = report.run(USECASE, DAY, settings=settings, params=USECASE.load_params(settings))
    assert record["missing"] == ["findings", "publication"]
    return read_page(Path(record["page"]))


def test_the_headline_adds_up(lake: Lake) -> None:
    found = repurchase_page.headline(lake, DAY)
    assert not isinstance(found, Missing)
    chances = [1 - number / 60 for number in range(CUSTOMERS)]
    assert found.expected == pytest.approx(sum(chances))
    assert (found.customers, found.week_customers) == (60, 14)
    assert found.this_week == pytest.approx(sum(chances[:14]))
    assert (found.unsure, found.nothing, found.mean_products) == (29, 12, 2.0)


def test_the_list_shows_who_comes_this_week_by_name(page: PageReader) -> None:
    grid = page.grid()
    assert grid["count"] == 14
    values = {name: decoded(column) for name, column in grid["data"].items()}
    assert values["customer_id"][0] == "shop-0000"
    assert values["return_probability"] == sorted(values["return_probability"], reverse=True)
    row = values["customer_id"].index("shop-0004")
    assert [values[f"product_{place}"][row] for place in (1, 2, 3)] == list(PRODUCTS)
    assert values["expected_on"][row] == "2026-01-07"
    assert values["window"][row].startswith("Wednesday")


def decoded(column: dict[str, Any]) -> list[Any]:
    return column["v"] if "v" in column else [column["d"][place] for place in column["i"]]


def test_names_of_products_are_escaped(page: PageReader) -> None:
    assert "<fresh>" in json.dumps(page.grid()), "as data"
    assert "fresh" not in page.text, "never as text of the page"


def test_no_pseudonym_is_shown(page: PageReader) -> None:
    assert not [number for number in range(1, CUSTOMERS) if f"{number:024x}" in page.text]


def test_timing_is_judged_on_those_who_came_back(lake: Lake) -> None:
    found = repurchase_page.validation(lake, DAY)
    assert not isinstance(found, Missing)
    assert (found.customers, found.returned, found.trained_for) == (50, 40, TRAINED)
    model, rule = found.timing
    assert (model.label, model.mae_days, model.coverage) == ("challenger", 0.0, 0.75)
    assert (rule.label, rule.mae_days, rule.bias_days, rule.coverage) == (
        "customer's median gap",
        2.0,
        2.0,
        None,
    )


def test_lists_are_judged_per_order(lake: Lake) -> None:
    found = repurchase_page.validation(lake, DAY)
    assert not isinstance(found, Missing)
    model, rule = found.lists
    by_hand = (1.0 + 2 * 2 / 6 + 2 * 2 / 9) / 3
    assert model.metrics["f1"] == pytest.approx(by_hand)
    assert rule.metrics["f1"] == pytest.approx((0.0 + 2 / 6 + 2 / 9) / 3)
    [figure] = [each for each in found.figures if each.name == "f1-by-size"]
    assert [list(bar.x) for bar in figure.plot.data] == [["none", "3–5", "6–10"]] * 2  # noqa: RUF001


def test_the_curve_of_gains_by_hand() -> None:
    share, gain = gain_curve(np.array([10.0, 30.0, 60.0]), np.array([0.9, 0.2, 0.05]))
    np.testing.assert_allclose(share, [0, 0.1, 0.4, 1.0])
    np.testing.assert_allclose(gain, [0, 9 / 18, 15 / 18, 1.0])


def test_what_became_of_predictions_counts_each_customer_once(lake: Lake) -> None:
    returns, lists = repurchase_page.realised(lake, DAY)
    assert list(returns.plot.data[0].y) == [0.6, 0.61, 0.62, 0.63, 0.64], (
        "the group `all`, not the sum of groups"
    )
    assert list(lists.plot.data[0].y) == [0.5] * 5


def test_every_figure_is_described_and_every_section_reachable(page: PageReader) -> None:
    figures = {"arrivals", "gap-calibration", "reliability-product", "reliability-return", "gains-product", "gains-return",
               "f1-by-size", "realised-returns", "realised-lists"}  # fmt: skip
    assert figures <= set(page.ids)
    for name in figures:
        assert f"{name}-words" in page.ids
    anchors = {link.removeprefix("#") for link in page.links if link.startswith("#")}
    assert anchors <= set(page.ids)


def test_without_tables_the_page_says_what_makes_them(
    tmp_path: Path, read_page: Callable[[Path], PageReader]
) -> None:
    settings = Settings(var=tmp_path)
    record = report.run(USECASE, DAY, settings=settings, params=USECASE.load_params(settings))
    assert set(record["missing"]) == {"headline", "realised", "gate", "validation", "findings", "publication"}
    text = read_page(Path(record["page"])).text
    for command in ("millrace score repurchase", "millrace train repurchase", "millrace publish repurchase"):
        assert command in text
