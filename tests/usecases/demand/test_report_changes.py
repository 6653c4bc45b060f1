"""What changed since yesterday comes with what may lie behind it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pipelines.reporting.page import Missing
from pipelines.usecases.demand import USECASE
from pipelines.usecases.demand.day import DayData
from pipelines.usecases.demand.page import changes, interesting_rows
from pipelines.usecases.demand.schemas import FORECASTS

if TYPE_CHECKING:
    from tests.usecases.demand.conftest import Chain


@pytest.fixture(scope="module")
def found(make_chain: Callable[..., Chain]) -> dict[str, Any]:
    """Today's forecasts of four series are three times yesterday's, each for a reason of its own."""
    chain = make_chain(stores=2, skus=12, origins=3, stockouts={("S001", "K0001"): (_yesterday(),)})
    rows = chain.lake.read(FORECASTS).to_pandas()
    today = rows["as_of"] == chain.as_of
    pairs = rows["store_id"] + "/" + rows["sku_id"]
    changed = {"S001/K0001": 3.0, "S002/K0003": 3.1, "S002/K0005": 3.2, "S001/K0002": 3.3}
    rows.loc[today, "operational"] *= pairs[today].map(changed).fillna(1.0)
    rows.loc[today & (pairs == "S002/K0003"), "model"] = "ets"
    # The day before told so little of K0005 that what was sold came as a surprise.
    told = (rows["as_of"] == _yesterday() - timedelta(1)) & (pairs == "S002/K0005") & (rows["horizon"] == 1)
    rows.loc[told, "operational"] *= 0.1
    chain.lake.overwrite(
        FORECASTS, pa.Table.from_pandas(rows, schema=FORECASTS.arrow_schema, preserve_index=False)
    )
    result = changes(DayData(USECASE.run(chain.as_of, chain.settings)))
    assert not isinstance(result, Missing)
    return result


def _yesterday() -> Any:
    return pd.Timestamp("2025-06-15").date()


def test_each_large_change_has_its_cause(found: dict[str, Any]) -> None:
    causes = {row["choice"]: row["cause"] for row in found["series"]}
    assert causes["S001/K0001"] == "out of stock on 15 Jun"
    assert causes["S002/K0003"] == "model changed from similar_xgboost to ets"
    assert causes["S001/K0002"] == "promotion announced: 30\u202f% from 19 Jun to 22 Jun"
    assert causes["S002/K0005"].endswith("were forecast")
    assert "sold on 15 Jun" in causes["S002/K0005"]


def test_changes_are_of_the_days_that_both_speak_of(found: dict[str, Any]) -> None:
    assert found["days"] == 13
    [row] = [row for row in found["series"] if row["choice"] == "S001/K0001"]
    assert row["share"] == pytest.approx(2.0, abs=0.1)
    assert "4 of 24 series moved by more than 20\u202f%" in found["words"]
    assert found["words"].startswith("The total of 13 days rose by")
    bars = found["figure"].payload["data"][0]
    assert bars["y"][0] in ("S001", "S002")
    assert np.all(np.array(bars["x"]) > 0)


def test_the_first_day_has_nothing_to_compare_with(make_chain: Callable[..., Chain]) -> None:
    chain = make_chain(stores=1, skus=4, origins=1)
    assert isinstance(changes(DayData(USECASE.run(chain.as_of, chain.settings))), Missing)


def test_lists_are_taken_in_turns() -> None:
    assert interesting_rows([[1, 2, 3], [9, 2], []], 4) == [1, 9, 2, 3]
    assert interesting_rows([[], []], 4) == []
