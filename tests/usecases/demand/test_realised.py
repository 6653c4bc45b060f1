"""Past forecasts beside what was sold: figures that can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pipelines.usecases.demand.dataset import read_recent
from pipelines.usecases.demand.day import WINDOW_DAYS, Realised, join, read_levels, read_realised
from pipelines.usecases.demand.schemas import COMPARED

if TYPE_CHECKING:
    from tests.usecases.demand.conftest import Chain

ERRORS = {"stable": 0.10, "seasonal": 0.15, "new": 0.20, "promo": 0.25}


@pytest.fixture(scope="module")
def realised(chain: Chain) -> Realised:
    recent = read_recent(chain.lake, chain.as_of, 28)
    assert recent is not None
    found = read_realised(chain.lake, recent.last(WINDOW_DAYS), horizon_days=14)
    assert found is not None
    return found


def test_errors_are_those_that_were_made(realised: Realised) -> None:
    table = realised.errors(realised.recent.profile["segment"].to_numpy(), horizons=(1, 7, 14))
    for row in table[table["horizon"] > 0].itertuples():
        expected = ERRORS[row.group] * (1 + 0.1 * (row.horizon - 7))
        assert row.mape == pytest.approx(expected, abs=1e-6)
        assert row.wape == pytest.approx(expected, abs=1e-6)
        sign = -1 if row.group in ("seasonal", "promo") else 1
        assert row.bias == pytest.approx(sign * expected, abs=1e-6)


def test_days_that_say_nothing_are_left_out(chain: Chain, realised: Realised) -> None:
    """120 series, 14 days; 30 series of one store were not reported on one day, two were out of stock."""
    [row] = realised.errors(horizons=(7,)).query("horizon == 7").to_dict("records")
    assert row["points"] == chain.stores * chain.skus * WINDOW_DAYS - chain.skus - 2
    assert realised.coverage(80).query("horizon == 0")["coverage"].item() == pytest.approx(0.8, abs=1e-3)
    assert realised.coverage(95).query("horizon == 0")["coverage"].item() == 1.0
    assert [realised.days_judged(horizon) for horizon in (1, 7, 14)] == [14, 14, 14]


def test_closed_days_are_not_judged(chain: Chain, realised: Realised) -> None:
    recent = realised.recent
    closed = replace(recent, is_open=recent.is_open & (np.arange(WINDOW_DAYS) > 3))
    [row] = (
        Realised.of(closed, realised.predicted).errors(horizons=(7,)).query("horizon == 7").to_dict("records")
    )
    assert row["points"] == chain.stores * chain.skus * (WINDOW_DAYS - 4) - chain.skus - 2


def test_intervals_hold_the_error(realised: Realised) -> None:
    new = realised.recent.profile["segment"].to_numpy() == "new"
    found = realised.mape_interval(7, new)
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.2, 0.2), abs=1e-6)
    mixed = realised.mape_interval(7, np.ones(len(new), dtype=bool))
    assert 0.1 < mixed.low < mixed.value < mixed.high < 0.25
    bias = realised.bias_interval(new)
    overall = realised.errors(rows=new)
    assert bias.value == pytest.approx(overall["bias"].item(), abs=1e-6)
    assert found.value == pytest.approx(realised.errors(rows=new, horizons=(7,))["mape"].iloc[1], abs=1e-6)


def test_the_join_takes_the_forecast_made_so_many_days_before(chain: Chain, realised: Realised) -> None:
    """Each forecast of a day, by the day it was made on, from the rows themselves."""
    recent = realised.recent
    row = recent.profile.query("store_id == 'S002' and sku_id == 'K0005'").index[0]
    for horizon in (1, 4, 14):
        for column in (0, 9):
            ds = recent.days[column].item()
            made = chain.forecasts(ds - timedelta(horizon))
            [expected] = made.query("store_id == 'S002' and sku_id == 'K0005' and ds == @ds")["operational"]
            assert realised.predicted["operational"][row, column, horizon - 1] == pytest.approx(
                expected, rel=1e-6
            )


def test_series_that_are_gone_are_counted_and_not_judged(realised: Realised) -> None:
    recent = realised.recent
    day = recent.days[0].item()
    rows = {
        "store_id": ["S001", "S001", "S009"], "sku_id": ["K0001", "gone", "K0001"], "ds": [day] * 3,
        "horizon": [1, 1, 1], **dict.fromkeys(COMPARED, [5.0] * 3),
    }  # fmt: skip
    batch = pa.RecordBatch.from_pydict(rows)
    later = pa.RecordBatch.from_pydict({**rows, "ds": [recent.as_of] * 3})
    found = join(recent, [batch, batch, later], horizon_days=14)
    assert found.strangers == 2
    assert np.isfinite(found.predicted["operational"]).sum() == 1


def test_sums_are_compared_with_all_that_is_known(chain: Chain, realised: Realised) -> None:
    """An independent sum with pandas: stock-outs count as the forecast, unreported nodes are left out."""
    levels = read_levels(chain.lake, realised)
    sold, out = chain.history()
    sold, out = sold[:, :, -WINDOW_DAYS:], out[:, :, -WINDOW_DAYS:]
    for horizon in (1, 7):
        made = [
            chain.forecasts(chain.as_of - timedelta(WINDOW_DAYS - n + horizon)).query("horizon == @horizon")
            for n in range(WINDOW_DAYS)
        ]
        forecast = np.stack(
            [rows["operational"].to_numpy().reshape(chain.stores, chain.skus) for rows in made], axis=2
        )
        demand = np.where(out, np.maximum(sold, forecast), sold)
        stores = levels["store"]
        np.testing.assert_allclose(stores.actual[:, :, horizon - 1], demand.sum(axis=1), rtol=1e-6)
        np.testing.assert_allclose(
            stores.predicted["operational"][:, :, horizon - 1], forecast.sum(axis=1), rtol=1e-6
        )
        nation = levels["national"].actual[0, :, horizon - 1]
        np.testing.assert_allclose(nation, demand.sum(axis=(0, 1)), rtol=1e-6)
    assert np.isnan(stores.actual[3]).any(axis=1).sum() == 1
    assert np.isnan(nation).sum() == 1, "a quarter of the nation is not reported: too much to stand in for"
    assert list(levels) == ["national", "region", "store", "sku"]
    assert levels["store"].errors(horizons=(7,))["points"].tolist()[1] == 4 * WINDOW_DAYS - 1


def test_a_small_part_that_is_not_reported_counts_as_its_forecast(
    chain: Chain, realised: Realised, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.usecases.demand.day.MAX_UNKNOWN", 0.5)
    nation = read_levels(chain.lake, realised)["national"]
    assert np.isfinite(nation.actual).all()
    day = WINDOW_DAYS - 2
    own = chain.forecasts(chain.as_of - timedelta(2 + 7)).query("horizon == 7 and store_id == 'S004'")
    known = np.nansum(chain.history()[0][:, :, -2])
    assert nation.actual[0, day, 6] == pytest.approx(known + own["operational"].sum(), rel=1e-6)


def test_nothing_to_compare(chain: Chain) -> None:
    assert read_recent(chain.lake, chain.as_of + timedelta(1), 28) is None
    recent = read_recent(chain.lake, chain.as_of, 28)
    assert recent is not None
    past = recent.last(14)
    early = replace(past, as_of=chain.as_of - timedelta(200), days=past.days - np.timedelta64(200, "D"))
    assert read_realised(chain.lake, early, horizon_days=14) is None


def test_recent_holds_the_newest_days(chain: Chain) -> None:
    recent = read_recent(chain.lake, chain.as_of, 14)
    assert recent is not None
    sold, out = chain.history()
    np.testing.assert_array_equal(recent.sold, sold[:, :, -14:].reshape(-1, 14).astype(np.float32))
    np.testing.assert_array_equal(recent.stockout, out[:, :, -14:].reshape(-1, 14))
    assert recent.days[-1].item() == chain.as_of - timedelta(1)
    assert isinstance(recent.profile, pd.DataFrame)
    assert recent.unknown.sum() == chain.skus


def test_a_series_lacks_no_day_before_its_first_sale(chain: Chain) -> None:
    recent = read_recent(chain.lake, chain.as_of, 14)
    assert recent is not None
    sold = recent.sold.copy()
    sold[0] = np.nan
    launched = recent.profile.assign(days_since_first_sale=[3, *recent.profile["days_since_first_sale"][1:]])
    late = replace(recent, sold=sold, profile=launched)
    assert late.unknown[0].tolist() == (recent.is_open[0] & (np.arange(14) >= 11)).tolist()
