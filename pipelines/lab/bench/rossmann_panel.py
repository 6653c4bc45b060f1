"""Rossmann Store Sales (Kaggle layout) as the panel that the demand models read.

One series per store; turnover serves as the quantity. ``Open``, ``Promo``, ``StateHoliday`` and
``SchoolHoliday`` come with Kaggle's test file six weeks ahead, so they are known in advance. ``Customers`` is
not, and is never read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.forecasting.panel import Matrix, Panel
from pipelines.errors import DataContractError

#: Columns of train.csv that are read.
COLUMNS = ("Store", "Date", "Sales", "Open", "Promo", "StateHoliday", "SchoolHoliday")

_HOLIDAYS = {"0": 0, "a": 1, "b": 2, "c": 3}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sept", "Oct", "Nov", "Dec")

#: Days of competition that are told apart: before it opens, and long after.
_COMPETITION_DAYS = (-200, 1500)


def read_rossmann(folder: Path, *, stores: int | None = None) -> Panel:
    """Read ``train.csv`` (or ``.csv.gz``) and ``store.csv``.

    Parameters
    ----------
    folder
        Where the files are.
    stores
        Only the first so many stores; all if not given.

    Returns
    -------
    Panel
        All days are history; days that a store lacks are unknown and closed.

    Raises
    ------
    DataContractError
        A file is missing.
    """
    train = pd.read_csv(
        find_table(folder, "train"), usecols=list(COLUMNS), dtype={"StateHoliday": str}, parse_dates=["Date"]
    )
    profile = pd.read_csv(find_table(folder, "store")).sort_values("Store", ignore_index=True)
    if stores is not None:
        profile = profile.head(stores)
        train = train[train["Store"].isin(profile["Store"])]
    first, last = (np.datetime64(day, "D") for day in (train["Date"].min(), train["Date"].max()))
    days = np.arange(first, last + 1)
    row = pd.Index(profile["Store"]).get_indexer(pd.Index(train["Store"]))
    column = (train["Date"].to_numpy().astype("datetime64[D]") - first).astype(np.intp)

    def placed(values: NDArray[Any], missing: float) -> Matrix:
        out = np.full((len(profile), len(days)), missing, dtype=np.float32)
        out[row, column] = values
        return out

    y = placed(train["Sales"].to_numpy(np.float64), np.nan)
    promo = placed(train["Promo"].to_numpy(np.float64), np.nan)
    # The promotion is the chain's: a store that lacks a day is taken to have had it too.
    promo = np.where(np.isnan(promo), np.nanmax(promo, axis=0), promo).astype(np.float32)
    holiday = placed(train["StateHoliday"].map(_HOLIDAYS).to_numpy(np.float64), 0)
    return Panel(
        series=pd.DataFrame(
            {
                "store_id": profile["Store"].astype(str),
                "sku_id": "all",
                "region": profile["StoreType"] + profile["Assortment"],
                "store_type": profile["StoreType"],
                "assortment": profile["Assortment"],
                "competition_distance_m": profile["CompetitionDistance"],
            }
        ),
        days=days,
        n_history=len(days),
        y=y,
        censored=np.zeros(y.shape, dtype=bool),
        promo=promo,
        price=np.full(y.shape, np.nan, dtype=np.float32),
        store=np.arange(len(profile), dtype=np.intp),
        calendar={
            "is_open": placed(train["Open"].to_numpy(np.float64), 0),
            "is_public_holiday": (holiday > 0).astype(np.float32),
            "holiday_kind": holiday,
            "is_school_holiday": placed(train["SchoolHoliday"].to_numpy(np.float64), 0),
            **_promo2(profile, days),
            "competition_days": _competition(profile, days),
        },
    )


def find_table(folder: Path, name: str) -> Path:
    """Path of a table of Rossmann Store Sales, packed or not."""
    for candidate in (folder / f"{name}.csv", folder / f"{name}.csv.gz"):
        if candidate.exists():
            return candidate
    raise DataContractError(f"{folder} must hold {name}.csv or {name}.csv.gz of Rossmann Store Sales")


def _promo2(profile: pd.DataFrame, days: NDArray[np.datetime64]) -> dict[str, Matrix]:
    """Whether a month renews the store's coupon promotion, and the days since the store takes part (-1: not)."""
    year = profile["Promo2SinceYear"].fillna(2100).astype(int).astype(str)
    fourth = pd.to_datetime(year + "-01-04")  # in the first ISO week
    monday = fourth - pd.to_timedelta(fourth.dt.dayofweek, unit="D")
    since = monday + pd.to_timedelta(7 * (profile["Promo2SinceWeek"].fillna(1) - 1), unit="D")
    elapsed = (days[None, :] - since.to_numpy().astype("datetime64[D]")[:, None]).astype(np.int64)
    months = profile["PromoInterval"].fillna("").str.split(",")
    renews = np.array([[name in of_store for name in _MONTHS] for of_store in months])
    month = days.astype("datetime64[M]").astype(np.int64) % 12
    return {
        "promo2": (renews[:, month] & (elapsed >= 0)).astype(np.float32),
        "promo2_days": np.maximum(elapsed, -1).astype(np.float32),
    }


def _competition(profile: pd.DataFrame, days: NDArray[np.datetime64]) -> Matrix:
    """Days since the nearest competitor opened; NaN where unknown."""
    opened = pd.to_datetime(
        pd.DataFrame(
            {
                "year": profile["CompetitionOpenSinceYear"],
                "month": profile["CompetitionOpenSinceMonth"],
                "day": 15,
            }
        ),
        errors="coerce",
    )
    elapsed = (days[None, :] - opened.to_numpy().astype("datetime64[D]")[:, None]).astype(np.float64)
    elapsed[opened.isna().to_numpy()] = np.nan
    return np.asarray(np.clip(elapsed, *_COMPETITION_DAYS), dtype=np.float32)
