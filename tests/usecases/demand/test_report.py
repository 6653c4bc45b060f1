"""The page of the day: complete, small, readable without a network, and honest about what is missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipelines.settings import Settings
from pipelines.steps import monitor, report
from pipelines.usecases.demand import USECASE
from pipelines.usecases.demand.page import MAX_SERIES

if TYPE_CHECKING:
    from tests.conftest import PageReader
    from tests.usecases.demand.conftest import Chain

    Read = Callable[[Path], PageReader]
    Make = Callable[..., Chain]

AS_OF = date(2025, 6, 16)


@pytest.fixture(scope="module")
def record(chain: Chain) -> dict[str, Any]:
    monitor.run(USECASE, AS_OF - timedelta(1), settings=chain.settings)
    monitor.run(USECASE, AS_OF, settings=chain.settings)
    return report.run(USECASE, AS_OF, settings=chain.settings)


@pytest.fixture(scope="module")
def page(record: dict[str, Any], read_page: Read) -> PageReader:
    return read_page(Path(record["page"]))


@pytest.fixture(scope="module")
def index(record: dict[str, Any], read_page: Read) -> PageReader:
    return read_page(Path(record["index"]))


def column(grid: dict[str, Any], name: str) -> list[Any]:
    found = grid["data"][name]
    return [None if i is None else found["d"][i] for i in found["i"]] if "d" in found else found["v"]


def test_nothing_is_missing_when_everything_ran(record: dict[str, Any]) -> None:
    assert record["missing"] == []
    assert record["open_alarms"] == 2


def test_the_page_opens_with_what_a_planner_asks(page: PageReader, chain: Chain) -> None:
    forecasts = chain.forecasts(AS_OF)
    tomorrow = forecasts[forecasts["horizon"] == 1]["operational"].sum()
    total = forecasts["operational"].sum()
    for words in (
        "Forecasts of Monday 16 June 2025 for 17 Jun 2025 to 30 Jun 2025, models demand/3",
        f"{tomorrow:,.0f}".replace(",", " "),
        f"{total:,.0f}".replace(",", " "),
        "certified",
        "today's",
        "Sun 15 Jun 2025",
        "3.3 % by a simple rule",
    ):
        assert words in page.text, words
    assert page.ids.index("fan") < page.ids.index("changes-since") < page.ids.index("demand-weeks")
    assert page.ids.index("demand-weeks") < page.ids.index("accuracy") < page.ids.index("competition")


def test_every_part_is_there(page: PageReader) -> None:
    drawn = {a["data-target"] for a, _ in page.scripts if a.get("class") == "figure-data"}
    assert drawn == {
        "fan", "changes", "error-stable", "error-seasonal", "error-new", "error-promo", "error-by-level",
        "bias-by-segment", "bias-by-store", "coverage-80", "coverage-95",
    }  # fmt: skip
    for words in (
        "since the forecasts of 15 Jun 2025",
        "stable, regular",
        "Backtest of 15 Jun 2025",
        "demand/3: promoted",
        "bottom_up forecasts are coherent",
        "The order system reads version run-7 of 16 Jun 2025",
        "sent = ok + failed + unknown",
        "The product's last day on sale is over.",
        "predictions/demand_forecasts",
        "promo series were 26.2 % below what was sold",
        "Reference model",
    ):
        assert words in page.text, words


def test_errors_are_those_that_were_made(page: PageReader) -> None:
    """Of the fixture: 10 % for stable series seven days ahead, target 12 %."""
    figures = {
        a["data-target"]: json.loads(text) for a, text in page.scripts if a.get("class") == "figure-data"
    }
    line = figures["error-stable"]["data"][0]
    assert line["x"][6] == 7
    assert line["y"][6] == pytest.approx(0.10, abs=1e-4)
    assert line["y"][13] == pytest.approx(0.17, abs=1e-4)
    assert figures["error-promo"]["data"][0]["y"][6] == pytest.approx(0.25, abs=1e-4)
    # 28 of the 32 stable series sell enough to be promised an error.
    assert "stable2810.0 %15.0 %12 % kept" in page.text
    bias = figures["bias-by-segment"]["data"][1]
    assert dict(zip(bias["x"], bias["y"], strict=True))["promo"] == pytest.approx(-0.25, abs=1e-4)


def test_the_chart_shows_any_node_and_what_is_worth_a_look(page: PageReader, chain: Chain) -> None:
    [choices] = page.embedded("figure-choices")
    names = [choice["name"] for choice in choices["choices"]]
    assert names[:7] == [
        "national/all",
        "region/north",
        "region/south",
        *(f"store/S00{n}" for n in (1, 2, 3, 4)),
    ]
    assert len(names) == len(set(names))
    series = names[7:]
    assert 20 <= len(series) <= 60
    wanted = {link.removeprefix("#show=") for link in page.links if link.startswith("#show=")}
    assert wanted
    assert wanted <= set(names), "a link to a chart that is not there"
    figure = page.embedded("figure-data")[0]
    parts = [trace["meta"] for trace in figure["data"]]
    store = choices["choices"][names.index("store/S002")]
    sold, _ = chain.history()
    drawn = store["y"][parts.index("sold")]
    assert drawn == [pytest.approx(total, abs=0.6) for total in sold[1].sum(axis=0)[-56:]]
    gap = choices["choices"][names.index("store/S004")]["y"][parts.index("sold")]
    assert gap[-2] is None, "the day that the store did not report"
    forecasts = chain.forecasts(AS_OF)
    own = forecasts[forecasts["store_id"] == "S002"].groupby("horizon")["operational"].sum()
    assert store["y"][parts.index("forecast")] == [pytest.approx(total, abs=0.6) for total in own]
    assert "S002" in store["words"]


def test_what_changed_names_its_likely_cause(page: PageReader) -> None:
    """The fixture announces a promotion of K0002 between the two days, and nothing else moves by design."""
    assert (
        "promotion announced: 30 % from 19 Jun to 22 Jun" in page.text or "new sales and weather" in page.text
    )
    assert "0 of 120 series moved by more than 20 %" in page.text


def test_weeks_of_all_levels_can_be_searched_and_downloaded(page: PageReader, chain: Chain) -> None:
    grid = page.grid()
    levels = column(grid, "level")
    assert {name: levels.count(name) for name in dict.fromkeys(levels)} == {
        "nation": 1, "region": 2, "store": 4, "product": 30, "product by store": 120,
    }  # fmt: skip
    forecasts = chain.forecasts(AS_OF)
    first = forecasts[forecasts["horizon"] <= 7]["operational"].sum()
    assert column(grid, "week_1")[0] == pytest.approx(first, abs=0.1)
    assert column(grid, "week_2")[0] == pytest.approx(forecasts["operational"].sum() - first, abs=0.1)
    sold, _ = chain.history()
    by_node = dict(zip(column(grid, "node"), column(grid, "sold"), strict=True))
    assert by_node["S002"] == pytest.approx(sold[1, :, -7:].sum(), abs=0.1)
    reported = sold[3, :, -7:]
    assert by_node["S004"] == pytest.approx(reported[:, [0, 1, 2, 3, 4, 6]].sum() * 7 / 6, rel=0.01)
    assert [entry["label"] for entry in grid["export"]][:2] == ["level", "node"]


def test_pages_need_no_network_and_every_link_leads_somewhere(
    page: PageReader, index: PageReader, record: dict[str, Any]
) -> None:
    root = Path(record["page"]).parent
    for reader in (page, index):
        assert len(reader.ids) == len(set(reader.ids))
        for link in reader.links:
            if link.startswith(("data:", "http://127.0.0.1:5000", "#show=")):
                continue
            file, _, anchor = link.partition("#")
            assert not file or (root / file).exists(), link
            assert not anchor or anchor in reader.ids, link


def test_the_control_room_has_the_use_case(index: PageReader) -> None:
    assert "How much of each product each store will sell" in index.text
    assert "demand/3, trained 15 Jun 2025" in index.text
    assert "120 sent = 120 ok + 0 failed + 0 unknown" in index.text
    assert "bias, coverage_80" in index.text
    # Not of promotions and weather: a chain may have none.
    assert "1 table is late or missing: Sales." in index.text


def test_the_same_day_gives_the_same_page(record: dict[str, Any], chain: Chain) -> None:
    before = Path(record["page"]).read_bytes()
    report.run(USECASE, AS_OF, settings=chain.settings)
    assert Path(record["page"]).read_bytes() == before


def test_an_empty_lake_has_a_page_too(tmp_path: Path, read_page: Read) -> None:
    record = report.run(USECASE, AS_OF, settings=Settings(var=tmp_path))
    page = read_page(Path(record["page"]))
    assert set(record["missing"]) == {
        "headline", "fan", "changes", "weeks", "fortnight", "accuracy", "worst", "competition", "gate", "findings",
        "publication",
    }  # fmt: skip
    for command in ("score", "train", "monitor", "publish"):
        assert f"millrace {command} demand --as-of 2025-06-16" in page.text


def test_the_first_day_has_no_past_to_compare_with(make_chain: Make, read_page: Read) -> None:
    chain = make_chain(stores=2, skus=8, origins=1)
    monitor.run(USECASE, AS_OF, settings=chain.settings)
    record = report.run(USECASE, AS_OF, settings=chain.settings)
    assert set(record["missing"]) == {"changes", "worst"}
    page = read_page(Path(record["page"]))
    assert "Not enough days with forecasts and sales yet: what follows is the backtest" in page.text
    assert "not enough days" in page.text
    assert "0 days late" not in page.text


def test_the_page_stays_small_however_many_series(
    make_chain: Make, read_page: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.usecases.demand.page.MAX_SERIES", 10)
    chain = make_chain(stores=2, skus=40, origins=2)
    page = read_page(Path(report.run(USECASE, AS_OF, settings=chain.settings)["page"]))
    levels = column(page.grid(), "level")
    assert levels.count("product by store") == 10
    assert levels.count("product") == 40
    assert "the 10 largest of 80" in page.text
    assert MAX_SERIES <= 5000


def test_forecasts_that_are_not_certified_are_not_to_be_used(make_chain: Make, read_page: Read) -> None:
    chain = make_chain(stores=2, skus=8, origins=1)
    chain.breach()
    page = read_page(Path(report.run(USECASE, AS_OF, settings=chain.settings)["page"]))
    assert "Do not order from these forecasts: their totals are not certified" in page.text
    assert "breached" in page.text
