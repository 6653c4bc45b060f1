"""Profiles of the stores of Rossmann Store Sales (Kaggle layout), as one table of mixed variables.

The pipeline makes its features by dbt from the demand tables; these are a plain second reading of the raw
files, small enough to be checked line by line in R.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from models.clustering.kinds import Kind
from pipelines.lab.bench.rossmann_panel import find_table

#: Kind of every variable of a profile.
KINDS: dict[str, Kind] = {
    "open_share": Kind.NUMERIC,
    "sunday_share": Kind.NUMERIC,
    "holiday_share": Kind.NUMERIC,
    "log_sales": Kind.NUMERIC,
    "log_customers": Kind.NUMERIC,
    "basket": Kind.NUMERIC,
    "promo_uplift": Kind.NUMERIC,
    "school_uplift": Kind.NUMERIC,
    "saturday_ratio": Kind.NUMERIC,
    "december_ratio": Kind.NUMERIC,
    "summer_ratio": Kind.NUMERIC,
    "log_distance": Kind.NUMERIC,
    "store_type": Kind.NOMINAL,
    "assortment": Kind.ORDINAL,
    "promo2": Kind.SYMMETRIC_BINARY,
}

#: Words of the assortment, smallest first: basic, extra, extended.
_ASSORTMENTS = {"a": 1.0, "b": 2.0, "c": 3.0}


def read_profiles(folder: Path) -> pd.DataFrame:
    """Read ``train.csv`` (or ``.csv.gz``) and ``store.csv``: one row per store, named by its number.

    Sales, customers and ratios are of days with sales; a ratio compares means of a store's days and is missing
    where it has none of one side. The distance of the next competitor is missing for some stores.
    """
    days = pd.read_csv(find_table(folder, "train"), dtype={"StateHoliday": str}, parse_dates=["Date"])
    stores = pd.read_csv(find_table(folder, "store")).set_index("Store").sort_index()
    sold = days[days["Sales"] > 0]
    weekday, month = sold["DayOfWeek"], sold["Date"].dt.month

    def mean(rows: pd.Series) -> pd.Series:
        return sold[rows].groupby("Store")["Sales"].mean()

    def share(rows: pd.Series) -> pd.Series:
        return days[rows].groupby("Store")["Open"].mean()

    working = weekday <= 5
    customers = sold.groupby("Store")["Customers"]
    return pd.DataFrame(
        {
            "open_share": share(days["DayOfWeek"] > 0),
            "sunday_share": share(days["DayOfWeek"] == 7),
            "holiday_share": share(days["StateHoliday"] != "0"),
            "log_sales": np.log(sold.groupby("Store")["Sales"].mean()),
            "log_customers": np.log(customers.mean()),
            "basket": sold.groupby("Store")["Sales"].sum() / customers.sum(),
            "promo_uplift": mean(working & (sold["Promo"] == 1)) / mean(working & (sold["Promo"] == 0)),
            "school_uplift": mean(working & (sold["SchoolHoliday"] == 1))
            / mean(working & (sold["SchoolHoliday"] == 0)),
            "saturday_ratio": mean(weekday == 6) / mean(working),
            "december_ratio": mean(month == 12) / mean(month != 12),
            "summer_ratio": mean(month.between(6, 8)) / mean(~month.between(6, 8)),
            "log_distance": np.log(stores["CompetitionDistance"]),
            "store_type": stores["StoreType"],
            "assortment": stores["Assortment"].map(_ASSORTMENTS),
            "promo2": stores["Promo2"].astype(np.float64),
        },
        index=stores.index,
    )
