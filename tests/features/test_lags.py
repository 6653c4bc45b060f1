"""Features of an origin: nothing later can be seen in them; layout, subsets, samples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from features.lags import EXPECTED, origin_frame, sample_cells

ORIGIN = np.datetime64("2025-04-01")
HORIZON = 14


def at(panel, day: np.datetime64) -> int:
    return int((day - panel.days[0]) / np.timedelta64(1, "D"))


def ahead_of(panel) -> dict[str, np.ndarray]:
    """What could be known of the days ahead."""
    cut = at(panel, ORIGIN)
    shape = (len(panel), HORIZON)
    return {
        "promo_discount": panel.promo[:, cut : cut + HORIZON],
        "price": panel.price[:, cut : cut + HORIZON],
        "promo_mechanic": np.where(panel.promo[:, cut : cut + HORIZON] > 0, "leaflet", "none").astype(object),
        "promo_day": np.zeros(shape),
        "promo_days_left": np.zeros(shape),
        "days_since_promo": np.full(shape, 28.0),
        "category_promos": np.ones(shape),
    }


def calendar_of(panel) -> dict[str, np.ndarray]:
    cut = at(panel, ORIGIN)
    return {name: values[:, cut : cut + HORIZON] for name, values in panel.calendar.items()}


def test_nothing_of_the_origin_or_later_is_seen(chain):
    before = origin_frame(chain, ORIGIN, HORIZON, ahead=ahead_of(chain), calendar=calendar_of(chain))
    cut = at(chain, ORIGIN)
    rng = np.random.default_rng(1)
    spoilt = replace(
        chain,
        y=np.where(np.arange(chain.n_history) >= cut, rng.poisson(99, chain.y.shape), chain.y).astype("f4"),
        censored=np.where(np.arange(chain.n_history) >= cut, ~chain.censored, chain.censored),
        promo=np.where(np.arange(len(chain.days)) >= cut, 0.9, chain.promo).astype("f4"),
        price=np.where(np.arange(len(chain.days)) >= cut, 77, chain.price).astype("f4"),
        calendar={
            name: np.where(np.arange(len(chain.days)) >= cut, 1 - values, values).astype("f4")
            for name, values in chain.calendar.items()
        },
    )
    after = origin_frame(spoilt, ORIGIN, HORIZON, ahead=ahead_of(chain), calendar=calendar_of(chain))
    pd.testing.assert_frame_equal(before, after)


def test_what_was_reported_after_the_origin_is_not_seen(chain):
    before = origin_frame(chain, ORIGIN, HORIZON)
    cut = at(chain, ORIGIN)
    late = chain.reported_on[chain.store] > ORIGIN
    late[:, cut:] = False
    assert late.sum() >= 4
    spoilt = replace(
        chain, y=np.where(late, 99, chain.y).astype("f4"), censored=np.where(late, True, chain.censored)
    )
    pd.testing.assert_frame_equal(before, origin_frame(spoilt, ORIGIN, HORIZON))
    # The same days, known in time, are seen.
    in_time = replace(spoilt, reported_on=np.minimum(chain.reported_on, ORIGIN))
    assert not before.equals(origin_frame(in_time, ORIGIN, HORIZON))


def test_history_that_counts_is_seen(chain):
    """Each kind of input reaches the features: else the tests above would pass for constants."""
    before = origin_frame(chain, ORIGIN, HORIZON)
    cut = at(chain, ORIGIN)
    window = np.zeros(len(chain.days), dtype=bool)
    window[cut - 3] = True
    history = window[: chain.n_history]
    for changed in (
        replace(chain, y=np.where(history, chain.y + 9, chain.y).astype("f4")),
        replace(chain, censored=np.where(history, True, chain.censored)),
        replace(chain, promo=np.where(window, 0.5, chain.promo).astype("f4")),
        replace(chain, price=np.where(window, 50, chain.price).astype("f4")),
        replace(
            chain, calendar={**chain.calendar, "temperature_c": chain.calendar["temperature_c"] + window}
        ),
    ):
        assert not before.equals(origin_frame(changed, ORIGIN, HORIZON))


def test_a_panel_cut_at_the_origin_gives_the_same(chain):
    whole = origin_frame(chain, ORIGIN, HORIZON)
    pd.testing.assert_frame_equal(whole, origin_frame(chain.at(ORIGIN, HORIZON), ORIGIN, HORIZON))


def test_layout(chain):
    frame = origin_frame(chain, ORIGIN, HORIZON, ahead=ahead_of(chain))
    assert len(frame) == len(chain) * HORIZON
    np.testing.assert_array_equal(frame["horizon"], np.tile(np.arange(HORIZON), len(chain)))
    words = {name for name, dtype in frame.dtypes.items() if dtype == "category"}
    assert words == {"region", "category", "brand", "promo_mechanic"}
    assert set(frame.drop(columns=list(words)).dtypes) == {np.dtype("float32")}
    assert list(frame["region"].iloc[[0, -1]]) == ["north", "south"]
    assert not np.isinf(frame.drop(columns=list(words)).to_numpy()).any()
    assert frame["surface_m2"].isna().sum() == 4 * HORIZON
    # A slow and a young series have all features but those of weekdays and years they have not lived.
    gaps = frame.columns[frame.isna().any()]
    may = ("profile_", "year_", "week_", "similar_")
    lived = {name for name in frame if name.startswith(may) or "_day_" in name}
    assert set(gaps) <= lived | {"brand", "surface_m2", "promo_uplift"}
    assert not frame.loc[3 * HORIZON : 4 * HORIZON - 1, ["expected", "trend_28", "level"]].isna().any().any()


def test_columns_do_not_depend_on_the_origin(chain):
    early = origin_frame(chain, chain.days[100], HORIZON)
    late = origin_frame(chain, ORIGIN, HORIZON)
    pd.testing.assert_series_equal(early.dtypes, late.dtypes)


def test_cells_are_rows_of_the_whole(chain):
    whole = origin_frame(chain, ORIGIN, HORIZON, ahead=ahead_of(chain))
    row, step = np.array([0, 3, 11, 11]), np.array([13, 0, 5, 6])
    part = origin_frame(chain, ORIGIN, HORIZON, ahead=ahead_of(chain), cells=(row, step))
    pd.testing.assert_frame_equal(part, whole.iloc[row * HORIZON + step].reset_index(drop=True))


def test_expected_is_close_for_regular_series(chain):
    frame = origin_frame(chain, ORIGIN, HORIZON)
    expected = frame[EXPECTED].to_numpy().reshape(len(chain), HORIZON)
    cut = at(chain, ORIGIN)
    actual = chain.y[:, cut : cut + HORIZON] * chain.open[:, cut : cut + HORIZON]
    sums, sold = (expected * chain.open[:, cut : cut + HORIZON]).sum(axis=1), actual.sum(axis=1)
    regular = np.isin(np.arange(12), [3, 5], invert=True)
    np.testing.assert_allclose(sums[regular], sold[regular], rtol=0.35)
    assert 0.02 < expected[3].mean() < 0.3


def test_units_of_another_size_give_the_same_ratios(chain):
    ten = replace(chain, y=chain.y * 100_000)
    one, other = (origin_frame(panel, ORIGIN, HORIZON) for panel in (replace(chain, y=chain.y * 10_000), ten))
    fast = one["level"] > np.log(10_000)
    np.testing.assert_allclose(other[EXPECTED][fast], one[EXPECTED][fast] * 10, rtol=0.02)
    ratios = [name for name in one if name.startswith(("trend_", "profile_", "year_", "store_", "region_"))]
    assert len(ratios) > 15
    np.testing.assert_allclose(one.loc[fast, ratios], other.loc[fast, ratios], atol=0.06)


def test_expected_follows_past_seasons_and_the_weather(chain):
    frame = origin_frame(chain, ORIGIN, HORIZON)
    season, weather = (
        np.exp(frame["category_feast"].clip(-2, 2)),
        np.exp(frame["weather_effect"].clip(-0.5, 0.5)),
    )
    step = frame["horizon"].astype(int) % 7
    flat = frame["expected"] / season / weather / np.exp(frame["usual"] + frame["recent"] + frame["level"])
    np.testing.assert_allclose(flat, 1, rtol=1e-3)
    assert season.groupby(step).std().min() > 0.01
    plain = origin_frame(chain, ORIGIN, HORIZON, follow_season=False)
    np.testing.assert_allclose(plain["expected"] * season, frame["expected"], rtol=1e-3)
    # Without last year the expected units are those of now.
    early = origin_frame(chain, chain.days[200], HORIZON)
    now = np.exp(early["usual"] + early["recent"] + early["level"] + early["weather_effect"].clip(-0.5, 0.5))
    np.testing.assert_allclose(early["expected"], now, rtol=1e-3)


def test_sample_is_the_same_again_and_differs_by_origin():
    wanted = np.random.default_rng(2).random((300, 14)) < 0.7
    row, step = sample_cells(wanted, ORIGIN, 0.25, seed=3)
    assert wanted[row, step].all()
    assert len(row) == pytest.approx(wanted.sum() * 0.25, rel=0.15)
    again = sample_cells(wanted, ORIGIN, 0.25, seed=3)
    np.testing.assert_array_equal((row, step), again)
    others = [sample_cells(wanted, ORIGIN + 7, 0.25, seed=3), sample_cells(wanted, ORIGIN, 0.25, seed=4)]
    assert all(set(zip(*other, strict=True)) != set(zip(row, step, strict=True)) for other in others)
    assert len(sample_cells(wanted, ORIGIN, 1.0)[0]) == wanted.sum()
