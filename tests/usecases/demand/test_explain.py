"""The story of one series, its picture, and what is said of a series that is not there."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pipelines.errors import DataContractError
from pipelines.settings import Settings
from pipelines.steps import explain
from pipelines.usecases.demand import USECASE
from pipelines.usecases.demand.explanation import as_text, sparkline

if TYPE_CHECKING:
    from tests.conftest import PageReader
    from tests.usecases.demand.conftest import Chain

    Read = Callable[[Path], PageReader]


@pytest.fixture(scope="module")
def record(chain: Chain) -> dict[str, Any]:
    return explain.run(USECASE, ["S001", "K0001"], as_of=chain.as_of, settings=chain.settings)


def test_the_story_is_that_of_the_series(chain: Chain, record: dict[str, Any]) -> None:
    assert (record["segment"], record["segment_reason"]) == ("stable", "looks stable")
    assert (record["model"], record["model_reason"]) == ("ets", "champion of its cell")
    assert record["backtest"]["J+7"] == {"mape": 0.15, "wape": 0.15, "rmsse": 0.15}
    assert record["backtest"]["bias"] == -0.02
    assert record["last_days"]["J+7"] == pytest.approx({"mape": 0.10, "wape": 0.10}, abs=1e-4)
    assert record["last_days"]["J+14"]["mape"] == pytest.approx(0.17, abs=1e-4)
    assert record["last_days"]["days"] == 13, "the day out of stock is not judged"
    assert record["out_of_stock"] == [str(chain.as_of - timedelta(3))]
    assert record["plans"].startswith("forecast for plans +2.0")
    assert json.loads(json.dumps(record, default=str))["as_of"] == "2025-06-16"


def test_the_forecasts_are_those_that_are_published(chain: Chain, record: dict[str, Any]) -> None:
    own = chain.forecasts(chain.as_of).query("store_id == 'S001' and sku_id == 'K0001'")
    assert [day["units"] for day in record["forecast"]] == pytest.approx(
        own["operational"].tolist(), abs=0.01
    )
    assert [day["upper_95"] for day in record["forecast"]] == pytest.approx(
        own["upper_95"].tolist(), abs=0.01
    )
    assert [day["ds"] for day in record["forecast"]] == [str(day) for day in own["ds"]]
    sold, _ = chain.history()
    assert record["forecast"][0]["usual"] == pytest.approx(sold[0, 0, [-27, -20, -13, -6]].mean(), abs=0.01)
    friday = [-24, -17, -10]  # the last one was out of stock
    assert record["forecast"][3]["usual"] == pytest.approx(sold[0, 0, friday].mean(), abs=0.01)
    holiday = record["forecast"][4]
    assert (holiday["ds"], holiday["known"]) == ("2025-06-21", ["public holiday"])


def test_promotions_ahead_are_told(chain: Chain) -> None:
    promoted = explain.run(USECASE, ["S002", "K0002"], as_of=chain.as_of, settings=chain.settings)
    known = {day["ds"]: day["known"] for day in promoted["forecast"]}
    assert known["2025-06-19"] == ["30 % off (leaflet)"]
    assert known["2025-06-21"] == ["30 % off (leaflet)", "public holiday"]
    assert known["2025-06-23"] == []


def test_the_picture_is_a_page_beside_the_others(record: dict[str, Any], read_page: Read) -> None:
    path = Path(record["picture"])
    assert path.name == "S001-K0001.html"
    assert path.parent.name == "series"
    page = read_page(path)
    [figure] = page.embedded("figure-data")
    parts = {trace["meta"]: trace for trace in figure["data"]}
    assert len(parts["forecast"]["y"]) == 14
    assert [value for value in parts["stockout"]["y"] if value is not None]
    for link in page.links:
        if not link.startswith(("data:", "#")):
            file = (path.parent / link).resolve()
            assert file.exists() or file.name in ("index.html", "demand.html"), link
    for words in ("Why this forecast", "stable: looks stable", "public holiday", "Backtest of 15 Jun 2025"):
        assert words in page.text


def test_a_hostile_id_stays_inside_the_folder(chain: Chain, make_chain: Callable[..., Chain]) -> None:
    hostile = make_chain(stores=1, skus=2, origins=1, store_names=("../../x<b>",))
    record = explain.run(USECASE, ["../../x<b>", "K0001"], as_of=hostile.as_of, settings=hostile.settings)
    path = Path(record["picture"])
    assert path.parent == hostile.settings.report_dir / "series"
    assert "<b>" not in path.read_text()
    assert "&lt;b&gt;" in path.read_text()


@pytest.mark.parametrize(
    ("store", "sku", "words"),
    [
        ("S001", "K0900", "out of scope on 2025-06-16: The product's last day on sale is over"),
        ("S01", "K0001", "no store 'S01' on 2025-06-16; did you mean S001"),
        ("S001", "K001", "no product 'K001' in S001 on 2025-06-16; did you mean K0001"),
    ],
)
def test_a_series_that_is_not_forecast_says_why(chain: Chain, store: str, sku: str, words: str) -> None:
    with pytest.raises(DataContractError, match=words.replace("'", ".")):
        explain.run(USECASE, [store, sku], as_of=chain.as_of, settings=chain.settings)


def test_a_day_that_was_not_prepared_names_the_command(chain: Chain, tmp_path: Path) -> None:
    with pytest.raises(DataContractError, match="millrace score demand --as-of 2025-06-17"):
        explain.run(USECASE, ["S001", "K0001"], as_of=chain.as_of + timedelta(1), settings=chain.settings)
    with pytest.raises(DataContractError, match="no series is known yet"):
        explain.run(USECASE, ["S001", "K0001"], as_of=chain.as_of, settings=Settings(var=tmp_path))


def test_text_for_a_terminal_holds_the_same(record: dict[str, Any]) -> None:
    text = as_text(record)
    assert record["sparkline"] in text
    assert "K0001 (K0001) in S001 (S001), as of 2025-06-16" in text
    assert "Model     ets of demand/3: champion of its cell" in text
    assert "J+7 MAPE 15 %, WAPE 15 %, RMSSE 0.15" in text
    assert "out of stock on 2025-06-13" in text
    assert max(len(line) for line in text.splitlines()) < 180
    rows = [
        line for line in text.splitlines() if line[:3] in ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    ]
    assert len(rows) == 14
    assert "public holiday" in rows[4]


def test_a_sparkline_has_one_scale() -> None:
    assert sparkline(np.array([0.0, 5.0, np.nan]), np.array([10.0])) == "▁▅·|█"
    assert sparkline(np.zeros(2), np.zeros(1)) == "▁▁|▁"
