"""Report: the products that were forecast worst in the last two weeks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipelines.reporting.site import Missing
from pipelines.usecases.demand.checks import MIN_DAYS, TARGET_HORIZON
from pipelines.usecases.demand.realised import WINDOW_DAYS, Realised
from pipelines.usecases.demand.report_data import DayData

_SHOWN = 20


@dataclass(frozen=True)
class Worst:
    """Series with the largest errors in units.

    Attributes
    ----------
    rows
        Their rows of the profile, worst first.
    """

    series: list[dict[str, Any]]
    rows: list[int]


def worst_series(data: DayData) -> Worst | Missing:
    """Series that lost the most units in the last days, with how they did in the backtest."""
    realised = data.realised
    if realised is None or realised.days_judged(1) < MIN_DAYS:
        return Missing(f"Not enough days yet: {MIN_DAYS} with forecasts and sales are needed.")
    table = realised.errors(np.arange(len(realised.recent)), horizons=(TARGET_HORIZON,))
    whole = table[table["horizon"] == 0].set_index("group")
    week = table[table["horizon"] == TARGET_HORIZON].set_index("group")
    sold = np.nansum(np.where(realised.judged, realised.actual, 0), axis=(1, 2), dtype=np.float64)
    lost = np.nan_to_num(whole["wape"].to_numpy()) * sold / realised.horizon_days
    top = np.argsort(-lost, kind="stable")[:_SHOWN]
    top = top[lost[top] > 0]
    trained = _trained(data)
    rows = [
        _worst_row(data, realised, int(row), float(lost[row]), whole.loc[row], week.loc[row], trained)
        for row in top
    ]
    return Worst(rows, top.tolist())


def _trained(data: DayData) -> pd.DataFrame:
    if data.series.empty:
        return data.series
    return data.series.set_index(["store_id", "sku_id"])


def _worst_row(
    data: DayData,
    realised: Realised,
    row: int,
    lost: float,
    whole: pd.Series,
    week: pd.Series,
    trained: pd.DataFrame,
) -> dict[str, Any]:
    profile = realised.recent.profile.iloc[row]
    store, sku = str(profile["store_id"]), str(profile["sku_id"])
    known = (store, sku) in trained.index if len(trained) else False
    return {
        "choice": f"{store}/{sku}",
        "store": data.names.store_with_id(store),
        "sku": sku,
        "product": data.names.product(sku),
        "segment": str(profile["segment"]),
        "model": str(trained.loc[(store, sku), "model"]) if known else None,
        "mean": float(profile["mean_quantity"]),
        "lost": lost / max(int(realised.judged[row].any(axis=1).sum()), 1),
        "mape": float(week["mape"]),
        "wape": float(week["wape"]),
        "bias": float(whole["bias"]),
        "backtest": trained[f"wape_j{TARGET_HORIZON}"].get((store, sku)) if known else None,
        "notes": _notes(realised, row),
    }


def _notes(realised: Realised, row: int) -> str:
    """What was special in the days judged."""
    recent = realised.recent
    found = []
    promoted, out = int((recent.promo[row] > 0).sum()), int(recent.stockout[row].sum())
    if promoted:
        found.append(f"{promoted} of {WINDOW_DAYS} days in promotion")
    if out:
        found.append(f"{out} out of stock")
    return "; ".join(found)
