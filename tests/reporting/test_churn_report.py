"""The churn page of a complete lake, of an empty one, and what it must never show."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from pipelines.io.lake import Lake
from pipelines.reporting.figure import Figure
from pipelines.settings import Settings
from pipelines.steps import report
from pipelines.usecases.churn import USECASE
from pipelines.usecases.churn import page as churn_page
from pipelines.usecases.churn.schemas import CONTRIBUTIONS

if TYPE_CHECKING:
    from tests.conftest import PageReader

    Read = Callable[[Path], PageReader]

AS_OF = date(2025, 6, 2)


def values(grid: dict[str, Any], name: str) -> list[Any]:
    column = grid["data"][name]
    return [column["d"][i] for i in column["i"]] if "d" in column else column["v"]


@pytest.fixture(scope="module")
def record(settings: Settings) -> dict[str, Any]:
    return report.run(USECASE, AS_OF, settings=settings)


@pytest.fixture(scope="module")
def page(record: dict[str, Any], read_page: Read) -> PageReader:
    return read_page(Path(record["page"]))


@pytest.fixture(scope="module")
def index(record: dict[str, Any], read_page: Read) -> PageReader:
    return read_page(Path(record["index"]))


def test_nothing_is_missing_when_everything_ran(record: dict[str, Any]) -> None:
    assert record["missing"] == []
    assert record["open_alarms"] >= 1


def test_the_list_comes_first_and_is_complete(page: PageReader) -> None:
    grid = page.grid()
    assert grid["count"] == 600
    assert values(grid, "rank") == list(range(1, 601))
    assert values(grid, "score") == sorted(values(grid, "score"), reverse=True)
    assert page.ids.index("churn-list") < page.ids.index("model")
    assert grid["filters"][0]["values"] == ["critical", "high", "medium", "low"]


def test_names_are_those_known_before_the_day(page: PageReader) -> None:
    names = values(page.grid(), "account_name")
    assert "Blue Works 0" in names
    assert "Renamed too late" not in names


def test_a_hostile_name_stays_text(page: PageReader, record: dict[str, Any]) -> None:
    assert '</script><script>alert("x")</script> & =1+1' in values(page.grid(), "account_name")
    assert "<script>alert" not in Path(record["page"]).read_text(encoding="utf-8")
    assert all(a.get("src") or a.get("type") == "application/json" for a, _ in page.scripts)


def test_only_the_list_names_accounts(page: PageReader, index: PageReader) -> None:
    elsewhere = page.text + index.text
    elsewhere += "".join(text for a, text in page.scripts if a.get("class") != "grid-data")
    assert "001A0000" not in elsewhere
    assert "Blue Works" not in elsewhere
    # The refused row of account 001A00000002 is listed by its pseudonym.
    key = f"{2 * 2654435761 % 16**12:012x}{2:012x}"
    assert key in page.text
    assert "Owner is inactive" in page.text


def test_pages_need_no_network(page: PageReader, index: PageReader, record: dict[str, Any]) -> None:
    root = Path(record["page"]).parent
    for reader in (page, index):
        for link in reader.links:
            if link.startswith(("data:", "http://127.0.0.1:5000")):
                continue
            file, _, anchor = link.partition("#")
            assert not file or (root / file).exists(), link
            assert not anchor or anchor in reader.ids, link


def test_ids_are_unique(page: PageReader, index: PageReader) -> None:
    for reader in (page, index):
        assert len(reader.ids) == len(set(reader.ids))


def test_every_part_is_there(page: PageReader) -> None:
    drawn = {a["data-target"] for a, _ in page.scripts if a.get("class") == "figure-data"}
    assert drawn == {
        "precision-recall", "gain", "lift", "calibration", "beeswarm", "scores-by-week", "volume-by-week",
    }  # fmt: skip
    for words in (
        "churn/3: promoted",
        "Passed: AUC-PR is 0.712",
        "0.684 to 0.741",
        "usage trend alone",
        "Observed rate",
        "plan_tier=starter moved most",
        "On an unpaid trial",
        "balanced",
        "predictions/churn_scores",
        "Out of time",
    ):
        assert words in page.text, words


def test_control_room_says_what_is_late_and_what_failed(index: PageReader) -> None:
    assert "5 tables are late or missing: Subscriptions, Usage events" in index.text
    assert "3 sent = 2 ok + 1 failed + 0 unknown" in index.text
    assert "The last run failed: churn publish" in index.text
    assert "SinkError: no" in index.text
    assert "amount_eur >= 0" in index.text
    assert "millrace ingest churn" in index.text


def test_a_day_without_scores_says_which_command_makes_them(
    settings: Settings, tmp_path: Path, read_page: Read
) -> None:
    # Into a site of its own: the page of the other tests is the one of AS_OF.
    elsewhere = settings.model_copy(update={"var": tmp_path, "lake": settings.lake_uri})
    record = report.run(USECASE, AS_OF + timedelta(1), settings=elsewhere)
    assert {"worklist", "beeswarm", "findings"} <= set(record["missing"])
    text = read_page(Path(record["page"])).text
    assert "millrace score churn --as-of 2025-06-03" in text


def test_an_empty_lake_has_a_page_too(tmp_path: Path, read_page: Read) -> None:
    record = report.run(USECASE, AS_OF, settings=Settings(var=tmp_path))
    assert len(record["missing"]) == 7
    page, index = read_page(Path(record["page"])), read_page(Path(record["index"]))
    for command in ("score", "train", "monitor", "publish"):
        assert f"millrace {command} churn --as-of 2025-06-02" in page.text
    assert "11 tables are late or missing" in index.text
    assert "No step has run yet" in index.text


def test_the_same_day_gives_the_same_page(settings: Settings) -> None:
    first = Path(report.run(USECASE, AS_OF, settings=settings)["page"]).read_bytes()
    assert Path(report.run(USECASE, AS_OF, settings=settings)["page"]).read_bytes() == first


def test_beeswarm_colours_are_ranks_with_ties_in_the_middle(tmp_path: Path) -> None:
    """One outlier must not take the whole scale, and equal values have one colour."""
    lake = Lake(tmp_path)
    rows = [
        {"as_of": AS_OF, "account_key": f"k{i}", "feature": "tickets", "theme": "support", "value": value,
         "contribution": 0.1 * i}
        for i, value in enumerate([0.0, 0.0, 0.0, 10_000.0, None])
    ]  # fmt: skip
    table = pa.Table.from_pylist(rows, schema=CONTRIBUTIONS.arrow_schema)
    lake.replace_partition(CONTRIBUTIONS, table, {"as_of": AS_OF})
    figure = churn_page.beeswarm(lake, AS_OF)
    assert isinstance(figure, Figure)
    known, unknown = figure.payload["data"]
    assert known["marker"]["color"] == [0.33333, 0.33333, 0.33333, 1.0]
    assert unknown["x"] == [0.4]
