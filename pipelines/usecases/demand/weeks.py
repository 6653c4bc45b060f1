"""The weeks ahead by store and product, to search, sort and download."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from models.forecasting.accuracy import sum_rows
from pipelines.io.lake import on_day
from pipelines.reporting.page import Missing
from pipelines.reporting.tables import Grid, GridColumn
from pipelines.usecases.demand.dataset import node_codes
from pipelines.usecases.demand.day import DayData
from pipelines.usecases.demand.recent import Recent
from pipelines.usecases.demand.schemas import LEVEL_WORDS, WEEKLY

#: Most series that the page holds; of more, the largest are shown.
MAX_SERIES = 2000

#: Largest part of a week's sales that may be estimated.
_MAX_ESTIMATED = 0.2

GRID = Grid(
    name="demand-weeks",
    caption="Units by week, largest node first: the sum of the series below a node; for plans, its share of the "
    "national forecast. Days not reported yet are taken as usual ones.",
    columns=(
        GridColumn("What", "two_lines", ("label", "line"), "30%"),
        GridColumn("Last 7 days sold", "units", ("sold",), "12%", "Sold"),
        GridColumn("Week 1", "units", ("week_1",), "11%"),
        GridColumn("Against the last 7 days", "change", ("change",), "12%", "Change"),
        GridColumn("Week 2", "units", ("week_2",), "11%"),
        GridColumn("Week 1, for plans", "units", ("plan_1",), "12%"),
        GridColumn("Week 2, for plans", "units", ("plan_2",), "12%"),
    ),
    filters={
        "level": ("Level", tuple(LEVEL_WORDS.values())),
        "region": ("Region", None),
        "category": ("Category", None),
    },
    search=("label", "line"),
    export={
        "level": "level",
        "node": "node",
        "label": "name",
        "region": "region",
        "category": "category",
        "sold": "sold_last_7_days",
        "week_1": "operational_week_1",
        "week_2": "operational_week_2",
        "plan_1": "strategic_week_1",
        "plan_2": "strategic_week_2",
    },
    hint="store, product, region",
)


@dataclass(frozen=True)
class Weeks:
    """The grid of the weeks.

    Attributes
    ----------
    series, shown
        Series that there are, and that the grid holds.
    spans
        First and last day of each week.
    """

    payload: dict[str, Any]
    series: int
    shown: int
    spans: list[tuple[date, date]]


def weeks(data: DayData) -> Weeks | Missing:
    """Both weeks of every node of the hierarchy, and of the largest series."""
    rows: pd.DataFrame = data.lake.read(WEEKLY, where=on_day(data.as_of), missing_ok=True).to_pandas()
    if rows.empty or data.recent is None:
        return Missing(
            f"There are no weekly forecasts of {data.as_of}.", f"millrace score demand --as-of {data.as_of}"
        )
    wide = rows.pivot_table(
        index=["level", "node"], columns="week", values=["operational", "strategic"], aggfunc="sum"
    )
    table = pd.DataFrame(
        {
            **{f"week_{n}": _week(wide, "operational", n) for n in (1, 2)},
            **{f"plan_{n}": _week(wide, "strategic", n) for n in (1, 2)},
        },
        index=wide.index,
    ).reset_index()
    table = table.merge(_described(data.recent), on=["level", "node"], how="left")
    table["change"] = np.where(table["sold"] > 0, table["week_1"] / table["sold"] - 1, np.nan)
    single = table["level"] == "sku_store"
    count = int(single.sum())
    largest = table[single].nlargest(MAX_SERIES, ["week_1", "week_2"])
    order = {level: place for place, level in enumerate(LEVEL_WORDS)}
    shown = pd.concat([table[~single], largest], ignore_index=True)
    shown["place"] = shown["level"].map(order)
    shown = shown.sort_values(["place", "week_1", "node"], ascending=[True, False, True], ignore_index=True)
    spans = rows.drop_duplicates("week").sort_values("week")[["starts_on", "ends_on"]]
    return Weeks(
        GRID.payload(_labelled(data, shown)),
        count,
        len(largest),
        list(spans.itertuples(index=False, name=None)),
    )


def _week(wide: pd.DataFrame, quantity: str, number: int) -> NDArray[np.float64]:
    if (quantity, number) not in wide.columns:  # a horizon of one week
        return np.full(len(wide), np.nan)
    return wide[(quantity, number)].to_numpy(dtype=np.float64)


def _described(recent: Recent) -> pd.DataFrame:
    """Sales of the last seven days and attributes of every node."""
    profile, week = recent.profile, recent.last(7)
    parts = []
    for level in ("national", "region", "store", "sku"):
        nodes, codes = node_codes(profile, level)
        first = np.unique(codes, return_index=True)[1]
        parts.append(
            pd.DataFrame(
                {
                    "level": level,
                    "node": nodes,
                    "sold": _week_sales(week, codes),
                    "region": profile["region"].to_numpy()[first] if level in ("region", "store") else None,
                    "category": profile["category"].to_numpy()[first] if level == "sku" else None,
                }
            )
        )
    own = pd.DataFrame(
        {
            "level": "sku_store",
            "node": profile["store_id"] + "/" + profile["sku_id"],
            "sold": _week_sales(week, np.arange(len(profile))),
            "region": profile["region"],
            "category": profile["category"],
        }
    )
    return pd.concat([*(part.astype({"region": object, "category": object}) for part in parts), own])


def _week_sales(week: Recent, codes: NDArray[np.intp]) -> NDArray[np.float64]:
    """Units of each node in a week; what was not reported is taken as sold at the usual rate.

    NaN where that is more than a fifth.
    """
    weight = np.broadcast_to(week.profile["mean_quantity"].to_numpy()[:, None], week.sold.shape)
    whole = sum_rows(np.where(week.is_open, weight, 0.0).sum(axis=1, keepdims=True), codes)[:, 0]
    unknown = sum_rows(np.where(week.unknown, weight, 0.0).sum(axis=1, keepdims=True), codes)[:, 0]
    sold = sum_rows(np.nansum(week.sold, axis=1, keepdims=True), codes)[:, 0]
    share = np.divide(unknown, whole, out=np.zeros_like(whole), where=whole > 0)
    return np.where(share <= _MAX_ESTIMATED, sold / np.maximum(1 - share, 1e-9), np.nan)


def _labelled(data: DayData, shown: pd.DataFrame) -> pa.Table:
    pairs = list(zip(shown["level"], shown["node"], strict=True))
    labels = [data.names.node(level, node) for level, node in pairs]
    lines = [
        LEVEL_WORDS[level] if node in (label, "all") else f"{LEVEL_WORDS[level]} · {node}"
        for (level, node), label in zip(pairs, labels, strict=True)
    ]
    numbers = ("sold", "week_1", "week_2", "plan_1", "plan_2", "change")
    digits = {"change": 3}
    return pa.table(
        {
            "label": labels,
            "line": lines,
            "node": shown["node"].tolist(),
            "level": shown["level"].map(LEVEL_WORDS).tolist(),
            "region": pa.array(shown["region"].tolist(), pa.string(), from_pandas=True),
            "category": pa.array(shown["category"].tolist(), pa.string(), from_pandas=True),
            **{
                name: pa.array(
                    shown[name].round(digits.get(name, 1)).tolist(), pa.float64(), from_pandas=True
                )
                for name in numbers
            },
        }
    )
