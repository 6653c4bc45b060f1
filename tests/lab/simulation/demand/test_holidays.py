"""Holidays by rule agree with the calendars that were published."""

from __future__ import annotations

from datetime import date

import pytest

from pipelines.lab.simulation.demand.holidays import easter_sunday, public_holidays, school_holidays
from pipelines.lab.simulation.demand.regions import REGIONS

EAST = next(region for region in REGIONS if region.two_more_holidays)


def test_easter_is_on_the_sundays_in_the_tables() -> None:
    # 1818 and 1943 are the earliest and the latest date there are; 2038 the next latest.
    known = ["1818-03-22", "1943-04-25", "2000-04-23", "2023-04-09", "2024-03-31", "2025-04-20", "2026-04-05",
             "2038-04-25"]  # fmt: skip
    assert [str(easter_sunday(int(day[:4]))) for day in known] == known


def test_public_holidays_move_with_easter() -> None:
    days = {holiday.name: holiday.first for holiday in public_holidays(2024, REGIONS[0])}
    assert len(days) == 11
    assert days["Easter Monday"] == date(2024, 4, 1)
    assert days["Ascension"] == date(2024, 5, 9)
    assert days["Whit Monday"] == date(2024, 5, 20)
    east = {holiday.name: holiday.first for holiday in public_holidays(2024, EAST)}
    assert set(east) - set(days) == {"Good Friday", "St Stephen"}
    assert east["Good Friday"] == date(2024, 3, 29)


# First day and last day before school (a Sunday), from the calendars of the French ministry of education.
OFFICIAL = {
    ("Winter holidays", 2023): {"A": ("02-04", "02-19"), "B": ("02-11", "02-26"), "C": ("02-18", "03-05")},
    ("Winter holidays", 2024): {"C": ("02-10", "02-25"), "A": ("02-17", "03-03"), "B": ("02-24", "03-10")},
    ("Winter holidays", 2025): {"B": ("02-08", "02-23"), "C": ("02-15", "03-02"), "A": ("02-22", "03-09")},
    ("Winter holidays", 2026): {"A": ("02-07", "02-22"), "B": ("02-14", "03-01"), "C": ("02-21", "03-08")},
    ("Spring holidays", 2024): {"C": ("04-06", "04-21"), "A": ("04-13", "04-28"), "B": ("04-20", "05-05")},
    ("Spring holidays", 2025): {"B": ("04-05", "04-20"), "C": ("04-12", "04-27"), "A": ("04-19", "05-04")},
    ("Summer holidays", 2024): dict.fromkeys("ABC", ("07-06", "09-01")),
    ("Autumn holidays", 2024): dict.fromkeys("ABC", ("10-19", "11-03")),
    ("Autumn holidays", 2025): dict.fromkeys("ABC", ("10-18", "11-02")),
}


@pytest.mark.parametrize(("name", "year"), OFFICIAL)
def test_school_holidays_are_the_official_ones(name: str, year: int) -> None:
    for zone, (first, last) in OFFICIAL[name, year].items():
        found = next(holiday for holiday in school_holidays(year, zone) if holiday.name == name)
        assert (str(found.first), str(found.last)) == (f"{year}-{first}", f"{year}-{last}")


def test_christmas_holidays_go_on_into_the_new_year() -> None:
    found = {holiday.name: holiday for holiday in school_holidays(2024, "A")}["Christmas holidays"]
    assert (found.first, found.last) == (date(2024, 12, 21), date(2025, 1, 5))
