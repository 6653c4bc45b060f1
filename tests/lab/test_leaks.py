"""The leak detector finds planted leaks, names them, and leaves honest features alone."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from pipelines.lab.leaks import MIN_ROWS, Kind, changed, future_dated, surprising, told

WEEK = 14  # days of a period
SERIES = 120
PERIODS = 26


def shop(seed: int) -> pd.DataFrame:
    """Daily sales of series whose levels wander, a third of them promoted now and then."""
    rng = np.random.default_rng(seed)
    days = WEEK * PERIODS
    level = np.exp(rng.normal(2, 0.7, (SERIES, 1)) + np.cumsum(rng.normal(0, 0.03, (SERIES, days)), axis=1))
    promo = (rng.random((SERIES, PERIODS)) < 0.3).repeat(WEEK, axis=1) & (rng.random((SERIES, days)) < 0.5)
    uplift = 1 + rng.gamma(2, 0.6, (SERIES, 1)) * promo
    frame = pd.DataFrame({"units": rng.poisson(level * uplift).ravel(), "promo": promo.ravel()})
    frame["series"] = np.arange(SERIES).repeat(days)
    frame["day"] = np.tile(np.arange(days), SERIES)
    return frame


def per_series(rows: pd.DataFrame) -> pd.Series:
    return rows.groupby("series")["units"].mean()


def features_at(sales: pd.DataFrame, origin: int) -> pd.DataFrame:
    """Point-in-time features of a day: levels, trend, weekly high, uplift of promotions."""
    past = sales[sales["day"] < origin]
    made = pd.DataFrame(
        {
            "mean_7": per_series(past[past["day"] >= origin - 7]),
            "mean_56": per_series(past[past["day"] >= origin - 56]),
            "highest": past.groupby("series")["units"].max(),
            "sold_share": (past["units"] > 0).groupby(past["series"]).mean(),
            "promo_uplift": per_series(past[past["promo"]]) / per_series(past[~past["promo"]]),
        }
    )
    return made.assign(trend=made["mean_7"] / made["mean_56"], as_of=origin)


HONEST = ["mean_7", "mean_56", "highest", "sold_share", "promo_uplift", "trend"]


def stack(sales: pd.DataFrame) -> pd.DataFrame:
    """Features of past days with what happened before, ahead of them and after that."""
    frames = []
    for origin in range(WEEK * 12, WEEK * (PERIODS - 2), WEEK):
        day = sales["day"]
        frames.append(
            features_at(sales, origin).assign(
                before=per_series(sales[(day >= origin - WEEK) & (day < origin)]),
                long_before=per_series(sales[(day >= origin - 6 * WEEK) & (day < origin)]),
                ahead=per_series(sales[(day >= origin) & (day < origin + WEEK)]),
                after=per_series(sales[(day >= origin + WEEK) & (day < origin + 2 * WEEK)]),
                # The mistake: statistics of promotions and levels over the whole data set.
                promo_mean_of_all=per_series(sales[sales["promo"]]),
                mean_of_rest=per_series(sales[day >= origin]),
                in_ahead=per_series(sales[(day >= origin) & (day < origin + WEEK) & sales["promo"]]),
                noise=np.random.default_rng(origin).normal(size=SERIES),
            )
        )
    return pd.concat(frames).reset_index(names="series")


def judge(frame: pd.DataFrame, features: list[str]) -> dict[str, Kind]:
    found = surprising(
        frame, features=features, target="ahead", history=["before", "long_before"], later="after"
    )
    return {leak.column: leak.kind for leak in found}


@pytest.mark.parametrize("seed", range(5))
def test_features_of_the_past_are_no_surprise(seed: int) -> None:
    assert judge(stack(shop(seed)), [*HONEST, "noise"]) == {}


@pytest.mark.parametrize("seed", range(5))
def test_what_knows_the_period_ahead_is_named_with_what_gave_it_away(seed: int) -> None:
    frame = stack(shop(seed))
    frame["copied"] = np.sqrt(frame["ahead"])
    found = judge(frame, [*HONEST, "mean_of_rest", "in_ahead", "copied"])
    assert set(found) == {"mean_of_rest", "in_ahead", "copied"}
    assert found["in_ahead"] is Kind.KNOWS_TARGET
    assert found["copied"] is Kind.IS_TARGET


def test_what_knows_the_time_after_the_period_ahead_is_found_by_it() -> None:
    frame = stack(shop(0))
    wide = frame["after"].rank() + 0.3 * np.random.default_rng(0).normal(size=len(frame)) * len(frame) / 8
    found = judge(frame.assign(wide=wide), ["wide"])
    assert found == {"wide": Kind.KNOWS_LATER}


def test_a_statistic_over_the_whole_data_set_is_proved_by_building_it_twice() -> None:
    """The mistake that cost two weeks: it is in too many periods for a suspicion, not for the proof."""
    sales, origin = shop(0), WEEK * 20
    assert judge(stack(sales), ["promo_mean_of_all"]) == {}

    def build(rows: pd.DataFrame) -> pd.DataFrame:
        uplift = per_series(rows[rows["promo"]]) / per_series(rows[~rows["promo"]])
        return features_at(rows, origin).assign(promo_uplift_of_all=uplift).reset_index(names="series")

    (leak,) = changed(build(sales[sales["day"] < origin]), build(sales), key=["as_of", "series"])
    assert (leak.column, leak.kind, leak.rows) == ("promo_uplift_of_all", Kind.CHANGES, SERIES)
    assert leak.size > 0.1
    assert "rows change once later rows are known, by" in leak.words
    assert told([leak], columns=8) == f"1 of 8 columns leak:\n  - {leak.words}"
    assert told([], columns=8) == "No leak found in 8 columns."


def test_every_difference_counts_and_equal_nulls_are_none() -> None:
    known = pd.DataFrame(
        {
            "id": [1, 2, 3, 4],
            "same": [1.0, np.nan, 3.0, 4.0],
            "number": [1.0, 2.0, np.nan, 4.0],
            "word": np.array(["a", None, "c", "d"], dtype=object),
            "day": np.array([date(2025, 1, 1), None, None, date(2025, 1, 4)], dtype=object),
            "flag": [True, False, True, False],
        }
    )
    later = known.assign(
        number=[1.0, 2.5, 3.0, 4.0],
        word=["a", "b", "c", None],
        day=[date(2025, 1, 1), None, date(2025, 1, 3), date(2025, 1, 5)],
        flag=[True, True, True, False],
    )
    found = {leak.column: leak for leak in changed(known, later.sample(frac=1, random_state=0), key=["id"])}
    assert {name: leak.rows for name, leak in found.items()} == {"number": 2, "word": 2, "day": 2, "flag": 1}
    assert found["number"].size == 0.5
    assert "2: 2.0 becomes 2.5" in found["number"].words
    assert np.isnan(found["word"].size)


def test_rows_that_appear_or_vanish_are_a_leak_too() -> None:
    known = pd.DataFrame({"id": [1, 2, 3], "x": [1, 2, 3]})
    later = pd.DataFrame({"id": [2, 3, 4, 5], "x": [2, 3, 4, 5]})
    (leak,) = changed(known, later, key=["id"])
    assert (leak.column, leak.rows) == ("id", 3)
    assert "2 appear and 1 vanish" in leak.words


def test_tables_that_cannot_be_compared_are_refused() -> None:
    rows = pd.DataFrame({"id": [1, 1], "x": [1, 2]})
    with pytest.raises(ValueError, match=r"only one has \['y'\]"):
        changed(rows, rows.assign(y=1), key=["id"])
    with pytest.raises(ValueError, match="must be unique, got 1 repeats"):
        changed(rows, rows, key=["id"])


@pytest.mark.parametrize("convert", [lambda days: days, pd.to_datetime], ids=["dates", "datetimes"])
def test_dates_that_had_not_come_are_found(convert: type) -> None:
    days = [date(2025, 3, 3) + timedelta(days=n) for n in range(3)]
    frame = pd.DataFrame(
        {
            "as_of": convert([date(2025, 3, 4)] * 3),
            "ds": convert(days),
            "paid_on": convert(days),
            "seen_on": convert([date(2025, 3, 3), None, None]),
            "name": ["a", "b", "c"],
        }
    )
    (leak,) = future_dated(frame, known_ahead=["ds"])
    assert (leak.column, leak.kind, leak.rows, leak.size) == ("paid_on", Kind.FUTURE_DATED, 2, 1.0)
    assert future_dated(frame, known_ahead=["ds", "paid_on"]) == []


def test_a_suspicion_needs_rows_and_history() -> None:
    frame = stack(shop(0))
    with pytest.raises(ValueError, match="history must name"):
        surprising(frame, features=HONEST, target="ahead", history=[])
    few = frame.head(MIN_ROWS - 1)
    with pytest.raises(ValueError, match="at least 200 complete rows are needed, got 199"):
        surprising(few, features=HONEST, target="ahead", history=["before"])
    assert judge(frame.assign(mean_7=1.0), ["mean_7"]) == {}, "a constant tells nothing"
