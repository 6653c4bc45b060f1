from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from pipelines.reporting import words


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (words.number(14804), "14 804"),
        (words.number(-0.0041, 3), "−0.004"),  # noqa: RUF001
        (words.number(1234567.891, 1), "1 234 567.9"),
        (words.number(None), "–"),  # noqa: RUF001
        (words.number(float("nan")), "–"),  # noqa: RUF001
        (words.percent(0.62), "62 %"),
        (words.percent(0.0379, 1), "3.8 %"),
        (words.euros(1240), "1 240 EUR"),
        (words.day(date(2025, 1, 6)), "Monday 6 January 2025"),
        (words.short_day(date(2025, 1, 6)), "6 Jan 2025"),
        (words.moment(datetime(2025, 1, 6, 4, 5, tzinfo=UTC)), "6 Jan 2025 04:05 UTC"),
        (words.count(1, "alarm"), "1 alarm"),
        (words.count(3, "table is", "tables are"), "3 tables are"),
    ],
)
def test_as_people_read_them(found: str, wanted: str) -> None:
    assert found.replace(words.THIN, " ") == wanted


def test_figures_do_not_break_over_lines() -> None:
    assert " " not in words.euros(1240) + words.percent(0.5) + words.number(10_000)


def test_changes_have_their_sign() -> None:
    assert words.change(0.034) == "+3.4\u202f%"
    assert words.change(-0.25) == "\u221225\u202f%"
    assert words.change(0.0) == "0.0\u202f%"
    assert words.change(None) == words.NONE
