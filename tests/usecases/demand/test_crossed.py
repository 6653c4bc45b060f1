"""Categories and products by region: what is ordered stands, the mix of a region is the textbook's, sizes are bounded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.optimize import nnls

from models.forecasting.aggregate import aggregate
from models.forecasting.local import forecast_group, pack, unpack
from models.forecasting.panel import Panel
from models.forecasting.reconcile import grouped
from pipelines.engines import Engine, engine_of
from pipelines.reporting.page import Missing
from pipelines.usecases.demand import USECASE
from pipelines.usecases.demand.crossed import Crossed, cross, fortnight
from pipelines.usecases.demand.dataset import read_dataset
from pipelines.usecases.demand.day import DayData
from pipelines.usecases.demand.schemas import CROSSED_LEVELS
from pipelines.usecases.demand.scoring import own_sales
from tests.usecases.demand.conftest import AS_OF, HORIZON

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.usecases.demand.conftest import Chain

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Day:
    """What the groups of a day are forecast from, and the forecasts."""

    panel: Panel
    profile: pd.DataFrame
    served: Floats
    engine: Engine
    crossed: Crossed


@pytest.fixture(scope="module")
def noisy(make_chain: Callable[..., Chain]) -> Chain:
    """A chain whose sales are not the same every week, all reported."""
    return make_chain(skus=12, origins=1, noise=0.3)


@pytest.fixture(scope="module")
def day(noisy: Chain) -> Iterator[Day]:
    data = read_dataset(USECASE.run(AS_OF, noisy.settings))
    panel = data.open(AS_OF).panel
    # Forecasts of the series that contradict their history: one in five is nothing, and dairy is far too low.
    served = np.random.default_rng(0).gamma(2.0, 10.0, (len(panel), HORIZON))
    served[::5] = 0.0
    served[(data.profile["category"] == "dairy").to_numpy()] /= 10
    with engine_of("local", noisy.settings, workers=1) as engine:
        yield Day(
            panel, data.profile, served, engine, cross(panel, data.profile, served, 1000, own_sales(engine))
        )


def sums(profile: pd.DataFrame, values: Floats, level: str) -> Floats:
    """Rows of single series summed by the names of a level, sorted by name."""
    frame = pd.DataFrame(values).assign(all="all", **{name: profile[name] for name in profile})
    return (
        frame.groupby(list(CROSSED_LEVELS[level]) or ["all"])[list(range(values.shape[1]))].sum().to_numpy()
    )


def textbook(day: Day, own: Mapping[str, Floats]) -> dict[str, Floats]:
    """Weighted non-negative least squares by a dense matrix; then each region is scaled to what is served."""
    parts = day.profile.drop_duplicates(["sku_id", "region"]).sort_values(["sku_id", "region"])
    identity = np.eye(len(parts))
    blocks = {level: sums(parts.reset_index(drop=True), identity, level) for level in CROSSED_LEVELS}
    matrix = np.concatenate(list(blocks.values()))
    base = np.concatenate(
        [own[level] if level in own else sums(day.profile, day.served, level) for level in CROSSED_LEVELS]
    )
    weight = 1 / np.sqrt(matrix.sum(axis=1, keepdims=True))
    mix = np.column_stack([nnls(weight * matrix, column)[0] for column in (weight * base).T])
    region = blocks["region"]
    factor = sums(day.profile, day.served, "region") / (region @ mix)
    return {level: block @ (mix * (region.T @ factor)) for level, block in blocks.items()}


def test_what_is_ordered_is_summed_and_nation_and_regions_stand(day: Day) -> None:
    for level in CROSSED_LEVELS:
        wanted = sums(day.profile, day.served, level)
        np.testing.assert_allclose(day.crossed.operational[level], wanted, rtol=1e-12, err_msg=level)
        if level in ("national", "region"):
            np.testing.assert_allclose(day.crossed.reconciled[level], wanted, rtol=1e-12, err_msg=level)


def test_the_mix_of_a_region_is_the_textbook_s(day: Day) -> None:
    own = {}
    for level in ("category", "category_region"):
        names = day.profile[list(CROSSED_LEVELS[level])].agg("/".join, axis=1)
        own[level] = unpack(forecast_group(pack(aggregate(day.panel, names), "ets")))[:, 1:].astype(
            np.float64
        )
    wanted = textbook(day, own)
    for level, values in day.crossed.reconciled.items():
        np.testing.assert_allclose(values, wanted[level], rtol=2e-3, atol=2e-3 * values.mean(), err_msg=level)
    rose = day.crossed.reconciled["category"].sum(axis=1) / day.crossed.operational["category"].sum(axis=1)
    names = day.crossed.grouping.keys["category"][0].tolist()
    assert rose[names.index("dairy")] > 2, "its own sales say far more than its series' forecasts"


def test_certificates_tell_of_mix_level_and_sums(day: Day) -> None:
    operational, reconciled = (day.crossed.certificates[name] for name in ("operational", "reconciled"))
    assert operational.ok
    assert operational.method == "bottom_up"
    assert reconciled.ok, reconciled.words
    assert reconciled.method == "wls_struct"
    assert reconciled.incoherence_relative < 1e-9
    assert reconciled.negatives == 0
    assert reconciled.nodes == len(day.crossed.grouping) == 1 + 2 + 3 + 6 + 12 + 24
    assert "Mix of each region: Coherent and as promised. wls_struct" in reconciled.words


def test_more_series_than_allowed_are_plain_sums_that_say_so(day: Day) -> None:
    found = cross(day.panel, day.profile, day.served, 47, own_sales(day.engine))
    for level in CROSSED_LEVELS:
        np.testing.assert_array_equal(found.reconciled[level], found.operational[level])
    certificate = found.certificates["reconciled"]
    assert certificate.method == "bottom_up"
    assert "Plain sums: 48 series are more than 47 (crossed.max_series)." in certificate.words


def test_where_the_library_misses_the_optimum_sums_stand_in(
    day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grouped, "TOLERANCE", 0.0)
    found = cross(day.panel, day.profile, day.served, 1000, own_sales(day.engine))
    np.testing.assert_array_equal(found.reconciled["category"], found.operational["category"])
    words = found.certificates["reconciled"].words
    assert "Plain sums: the reconciliation cannot be trusted. Breach: not as promised at" in words


def test_a_region_that_is_closed_for_a_day_sells_nothing(day: Day) -> None:
    served = day.served.copy()
    north = (day.profile["region"] == "north").to_numpy()
    served[north, 3] = 0.0
    found = cross(day.panel, day.profile, served, 1000, own_sales(day.engine))
    closed = found.grouping.keys["sku_region"][1] == "north"
    assert found.reconciled["sku_region"][closed, 3].max() == 0
    assert found.certificates["reconciled"].ok


def test_planners_see_categories_by_region_beside_the_last_fortnight(noisy: Chain) -> None:
    seen = fortnight(DayData(USECASE.run(AS_OF, noisy.settings)))
    assert not isinstance(seen, Missing)
    assert (seen.days, seen.categories, seen.regions[0]) == (14, 3, "all")
    assert set(seen.regions) == {"all", "north", "south"}
    assert set(seen.rows) == {"all", "dairy", "bakery", "drinks"}
    sold, _ = noisy.history()
    last = sold[:, :, -14:].sum(
        axis=2
    )  # stores by products; two stores to a region, every third product dairy
    forecasts = noisy.forecasts(AS_OF)
    for category, place in (("dairy", 0), ("all", None)):
        products = noisy.sku_ids if place is None else noisy.sku_ids[place::3]
        for region, stores in (("north", slice(0, 2)), ("all", slice(None))):
            cell = seen.rows[category][seen.regions.index(region)]
            assert cell is not None
            own = forecasts["store_id"].isin(noisy.store_ids[stores]) & forecasts["sku_id"].isin(products)
            ordered = forecasts.loc[own, "operational"].sum()
            assert cell["operational"] == pytest.approx(ordered)
            assert cell["reconciled"] == pytest.approx(ordered * (1 if place is None else 1.1))
            sold_before = (last[stores] if place is None else last[stores, place::3]).sum()
            assert cell["change"] == pytest.approx(ordered / sold_before - 1)


def test_a_weekday_not_reported_counts_as_the_other_week_s(make_chain: Callable[..., Chain]) -> None:
    plain = make_chain(skus=6, origins=1)  # the same every week
    missed = (AS_OF - timedelta(days=2),)
    silent = make_chain(skus=6, origins=1, unreported=dict.fromkeys(plain.store_ids, missed))
    for chain in (plain, silent):
        seen = fortnight(DayData(USECASE.run(AS_OF, chain.settings)))
        assert not isinstance(seen, Missing)
        cell = seen.rows["all"][0]
        assert cell is not None
        sold = plain.history()[0][:, :, -14:].sum()
        assert cell["change"] == pytest.approx(cell["operational"] / sold - 1)


def test_a_day_without_forecasts_says_how_to_make_them(noisy: Chain) -> None:
    seen = fortnight(DayData(USECASE.run(AS_OF - timedelta(days=1), noisy.settings)))
    assert isinstance(seen, Missing)
    assert seen.command == "millrace score demand --as-of 2025-06-15"
