"""Sales that do not come by day are refused with words."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest

from pipelines.errors import DataContractError
from pipelines.steps import prepare
from pipelines.usecase import Run
from pipelines.usecases.demand import USECASE
from pipelines.usecases.demand.dataset import read_dataset

AS_OF = date(2025, 6, 2)


def test_weekly_sales_are_not_taken_for_daily_ones(settings, land_demand, tmp_path):
    weeks = [AS_OF - timedelta(days=7 * week + 1) for week in range(60)]
    names = [f"s{number}" for number in range(4)]
    folder = tmp_path / "weekly"
    folder.mkdir()
    rows = {"unique_id": names * len(weeks), "ds": [day for day in weeks for _ in names], "y": 7.0}
    pl.DataFrame(rows).write_csv(folder / "series.csv")
    hierarchy = {"unique_id": names, "region": "r", "store_id": names, "sku_id": "p"}
    pl.DataFrame(hierarchy).write_csv(folder / "hierarchy.csv")
    land_demand(folder, source="long")
    params = USECASE.load_params(settings)
    prepare.run(USECASE, AS_OF, settings=settings, params=params)
    with pytest.raises(DataContractError, match="reports every 7 days, and forecasts are of single days"):
        read_dataset(Run("demand", AS_OF, settings, params))
