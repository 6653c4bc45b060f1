"""Similar products: rates and sizes parted, medians by shared attributes, launch curve, own days."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features.groups import groups_of
from features.known import known_at
from features.levels import levels_at
from features.similar import LEAST_PEERS, YOUNG_DAYS, similar_at, similar_columns
from models.forecasting.panel import Panel

DAYS = 500
ORIGIN = np.datetime64("2024-01-01") + DAYS
STORES = np.array([0.5, 1.0, 1.5])


def launches(seed: int = 0) -> tuple[Panel, np.ndarray, np.ndarray]:
    """Thirty products in three stores: cheap and dear ones, launched on different days; start at 1.5 x.

    Returns the panel, the rate of each product and the first day of each series.
    """
    rng = np.random.default_rng(seed)
    skus = 30
    band = np.where(np.arange(skus) % 2 == 0, "low", "high")
    rate = np.where(band == "low", 20.0, 4.0) * rng.lognormal(0, 0.1, skus)
    first = np.where(np.arange(skus) < 14, 0, 300 - 15 * (np.arange(skus) - 14))
    first[28], first[29] = DAYS - 10, DAYS  # very young, and to be launched today
    sku, store = (part.ravel() for part in np.indices((skus, 3)))
    start = first[sku].copy()
    start[sku == 13] = np.where(store[sku == 13] == 2, DAYS, 0)  # old, but new in the last store
    age = np.arange(DAYS)[None, :] - start[:, None]
    mean = rate[sku, None] * STORES[store, None] * np.where(age < 28, 1.5, 1.0)
    y = np.where(age >= 0, rng.poisson(mean), np.nan).astype(np.float32)
    n = len(sku)
    return (
        Panel(
            series=pd.DataFrame(
                {
                    "store_id": [f"S{s}" for s in store],
                    "sku_id": [f"K{k:02d}" for k in sku],
                    "category": "dairy",
                    "subcategory": "cheese",
                    "price_band": band[sku],
                }
            ),
            days=np.datetime64("2024-01-01") + np.arange(DAYS + 14),
            n_history=DAYS,
            y=y,
            censored=np.zeros((n, DAYS), dtype=bool),
            promo=np.zeros((n, DAYS + 14), dtype=np.float32),
            price=np.full((n, DAYS + 14), np.nan, dtype=np.float32),
            store=store,
        ),
        rate,
        start,
    )


@pytest.fixture(scope="module")
def case():
    panel, rate, start = launches()
    known = known_at(panel, ORIGIN, 14)
    groups = groups_of(panel.series)
    levels = levels_at(known, groups["all"], groups["store"])
    return rate, start, levels, similar_at(known, levels, panel.series)


def test_peers_are_the_median_of_the_price_band_times_the_size_of_the_store(case):
    rate, start, _, similar = case
    low = np.arange(30) % 2 == 0
    old = np.array([start[3 * k] <= DAYS - 91 for k in range(30)])
    assert (low & old).sum() >= LEAST_PEERS
    row = np.arange(28 * 3, 28 * 3 + 3)  # the very young product, low priced
    np.testing.assert_allclose(similar.columns["peers"][row], np.median(rate[low & old]) * STORES, rtol=0.08)
    assert np.isnan(similar.columns["peers"][:3]).all()  # old series have no use for it


def test_product_elsewhere_and_own_days(case):
    rate, _, _, similar = case
    new_in_store = 13 * 3 + 2
    assert similar.columns["sku"][new_in_store] == pytest.approx(rate[13] * STORES[2], rel=0.08)
    assert np.isnan(similar.columns["own"][new_in_store])
    assert similar.columns["own_days"][new_in_store] == 0
    assert similar.columns["sku_days"][new_in_store] == 2 * 56
    young = np.arange(28 * 3, 28 * 3 + 3)
    # Ten days at one and a half times the rate, and the curve knows.
    np.testing.assert_allclose(similar.columns["own"][young], rate[28] * STORES, rtol=0.25)
    np.testing.assert_array_equal(similar.columns["own_days"][young], 10)
    unsold = 29 * 3
    assert np.isnan(similar.columns["sku"][unsold])
    assert similar.columns["peers"][unsold] > 0


def test_launch_curve_is_found_and_ends_at_one(case):
    *_, similar = case
    np.testing.assert_allclose(similar.curve, [1.5] * 4 + [1] * 5, rtol=0.06)
    rows, steps = np.full(3, 29 * 3), np.array([0, 13, 400])
    np.testing.assert_allclose(similar.launch_factor(rows, steps), [similar.curve[0], similar.curve[1], 1])


def test_columns_are_units_of_the_target_day(case):
    *_, levels, similar = case
    row, step = np.array([28 * 3, 28 * 3, 0]), np.array([0, 13, 0])
    expected = np.array([2.0, 4.0, 8.0], dtype=np.float32)
    found = similar_columns(similar, levels, np.zeros(3, dtype=np.intp), row, step, expected)
    for k in (0, 1):
        factor = levels.profile[row[k], step[k] % 7, 0] / levels.mean[row[k]]
        factor *= similar.curve[(10 + step[k]) // 7]
        assert found["similar_peers"][k] == pytest.approx(similar.columns["peers"][row[k]] * factor)
        assert found["similar_peers_ratio"][k] == pytest.approx(
            np.log(found["similar_peers"][k] / expected[k])
        )
    assert np.isnan(found["similar_peers"][2])
    assert similar.age[0] == YOUNG_DAYS + 1


def test_without_launches_the_curve_is_flat_and_without_peers_all_products_serve():
    panel, *_ = launches(1)
    few = panel.take(np.flatnonzero(panel.series["sku_id"].isin(["K00", "K01", "K02", "K29"])))
    known = known_at(few, ORIGIN, 14)
    groups = groups_of(few.series)
    levels = levels_at(known, groups["all"], groups["store"])
    similar = similar_at(known, levels, few.series)
    assert (similar.curve == 1).all()
    assert (similar.columns["peers"][9:] > 0).all()


def test_nobody_sold_anything_yet():
    panel, *_ = launches(2)
    none = panel.take(np.flatnonzero(panel.series["sku_id"] == "K29"))
    known = known_at(none, ORIGIN, 14)
    groups = groups_of(none.series)
    levels = levels_at(known, groups["all"], groups["all"])
    similar = similar_at(known, levels, none.series)
    assert np.isfinite(similar.columns["peers"]).all()
    assert np.isnan(similar.columns["own"]).all()
