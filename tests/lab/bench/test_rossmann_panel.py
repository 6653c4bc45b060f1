"""Reading of Rossmann's files: what is placed where, what is made of promotions and competition."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pipelines.errors import DataContractError
from pipelines.lab.bench.rossmann_panel import COLUMNS, read_rossmann

STORES = """Store,StoreType,Assortment,CompetitionDistance,CompetitionOpenSinceMonth,CompetitionOpenSinceYear,\
Promo2,Promo2SinceWeek,Promo2SinceYear,PromoInterval
2,a,c,570,11,2014,1,1,2015,"Jan,Apr,Sept,Oct"
1,c,a,,,,0,,,
"""
TRAIN = """Store,DayOfWeek,Date,Sales,Customers,Open,Promo,StateHoliday,SchoolHoliday
1,4,2015-01-01,0,0,0,0,a,1
2,4,2015-01-01,0,0,0,0,a,1
1,5,2015-01-02,500,50,1,1,0,0
1,6,2015-01-03,700,70,1,0,0,0
2,6,2015-01-03,900,90,1,0,0,1
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "store.csv").write_text(STORES)
    (tmp_path / "train.csv").write_text(TRAIN)
    return tmp_path


def test_every_store_and_day_has_its_place(folder):
    panel = read_rossmann(folder)
    assert list(panel.series["store_id"]) == ["1", "2"]
    assert list(panel.series["region"]) == ["ca", "ac"]
    np.testing.assert_array_equal(panel.y, np.array([[0, 500, 700], [0, np.nan, 900]], dtype="f4"))
    np.testing.assert_array_equal(panel.open, [[False, True, True], [False, False, True]])
    # The promotion of 2 January is the chain's, so the store that lacks the day had it too.
    np.testing.assert_array_equal(panel.promo, [[0, 1, 0], [0, 1, 0]])
    np.testing.assert_array_equal(panel.calendar["holiday_kind"], [[1, 0, 0], [1, 0, 0]])
    np.testing.assert_array_equal(panel.calendar["is_school_holiday"], [[1, 0, 0], [1, 0, 1]])
    assert panel.n_history == 3
    assert panel.days[0] == np.datetime64("2015-01-01")
    assert len(read_rossmann(folder, stores=1)) == 1


def test_customers_are_never_read(folder):
    assert "Customers" not in COLUMNS
    rows = pd.read_csv(folder / "train.csv").drop(columns="Customers")
    before = read_rossmann(folder)
    rows.to_csv(folder / "train.csv", index=False)
    after = read_rossmann(folder)
    assert set(after.calendar) == set(before.calendar)
    np.testing.assert_array_equal(after.y, before.y)


def test_coupons_start_with_their_week_and_come_in_their_months(folder):
    # The first ISO week of 2015 began on Monday, 29 December 2014.
    panel = read_rossmann(folder)
    np.testing.assert_array_equal(panel.calendar["promo2_days"], [[-1, -1, -1], [3, 4, 5]])
    np.testing.assert_array_equal(panel.calendar["promo2"], [[0, 0, 0], [1, 1, 1]])


def test_competition_is_counted_from_the_middle_of_its_month(folder):
    days = read_rossmann(folder).calendar["competition_days"]
    assert np.isnan(days[0]).all()
    np.testing.assert_array_equal(days[1], [47, 48, 49])


def test_missing_file_is_named(folder):
    (folder / "store.csv").unlink()
    with pytest.raises(DataContractError, match=r"must hold store\.csv"):
        read_rossmann(folder)
