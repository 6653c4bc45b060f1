"""What was sold and what is forecast of any node, in one chart to choose from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.dataset as pa_dataset
from numpy.typing import NDArray

from models.forecasting.accuracy import sum_rows
from pipelines.io.lake import on_day
from pipelines.reporting.figure import Array, Choices, Figure
from pipelines.reporting.page import Missing
from pipelines.reporting.words import change as change_words
from pipelines.reporting.words import number
from pipelines.usecases.demand.dataset import CALENDAR, node_codes
from pipelines.usecases.demand.day import HISTORY_DAYS, DayData, Names
from pipelines.usecases.demand.fan import Outlook, fan, fan_choices
from pipelines.usecases.demand.realised import MAX_UNKNOWN
from pipelines.usecases.demand.recent import Recent
from pipelines.usecases.demand.schemas import INTERVALS

#: Series with a chart of their own among the largest.
_LARGEST = 20

_NOTHING = np.full(1, np.nan)

_GROUPS = {"national": "Nation", "region": "Regions", "store": "Stores"}


@dataclass(frozen=True)
class Fan:
    """The chart of the nation and the nodes to choose instead."""

    figure: Figure
    choices: Choices


def fan_chart(data: DayData, more: Sequence[int]) -> Fan | Missing:
    """Fan chart of the nation; regions, stores and chosen series to show instead.

    Parameters
    ----------
    more
        Rows of the profile whose series are offered beside the largest ones, most interesting first.
    """
    if data.recent is None or data.aggregates.empty:
        return Missing(
            f"There are no forecasts with features of {data.as_of}.",
            f"millrace score demand --as-of {data.as_of}",
        )
    outlooks = [*_node_outlooks(data, data.recent), *_series_outlooks(data, data.recent, more)]
    figure = fan(
        outlooks[0],
        data.as_of,
        name="fan",
        title="What was sold and what is forecast",
        holidays=holidays(data),
    )
    return Fan(figure, fan_choices(outlooks, figure))


def holidays(data: DayData, store_id: str | None = None) -> list[date]:
    """Days shown that are public holidays in a store, or in at least half of all stores."""
    field = pa_dataset.field
    where = on_day(data.as_of) & (field("ds") >= data.as_of - timedelta(days=HISTORY_DAYS))
    if store_id is not None:
        where &= field("store_id") == store_id
    if not data.lake.exists(CALENDAR):
        return []
    rows = data.lake.read(CALENDAR, columns=["ds", "is_public_holiday"], where=where)
    share = rows.to_pandas().astype({"is_public_holiday": float}).groupby("ds")["is_public_holiday"].mean()
    return [as_day(day) for day in share.index[share >= 0.5]]


def series_outlook(
    data: DayData,
    recent: Recent,
    rows: NDArray[np.intp],
    groups: Sequence[str],
) -> list[Outlook]:
    """Outlooks of single series, by their rows of the profile."""
    values, ahead = data.forecasts, np.nan_to_num(data.promotions)
    found = []
    for row, group in zip(rows.tolist(), groups, strict=True):
        store, sku = (str(recent.profile[name].iloc[row]) for name in ("store_id", "sku_id"))
        forecast = values["operational"][row].astype(np.float64)
        known = recent.actual[row].astype(np.float64)
        found.append(
            Outlook(
                name=f"{store}/{sku}",
                label=data.names.series(store, sku),
                group=group,
                words=_words(_series_title(data.names, store, sku), forecast, known),
                sold=known,
                stockout=recent.stockout[row],
                told=_told(data, row),
                forecast=forecast,
                strategic=values["strategic"][row],
                intervals={
                    nominal: (values[f"lower_{nominal}"][row], values[f"upper_{nominal}"][row])
                    for nominal in INTERVALS
                },
                promo=np.concatenate([recent.promo[row], ahead[row]]),
            )
        )
    return found


def _node_outlooks(data: DayData, recent: Recent) -> list[Outlook]:
    """Nation, regions and stores."""
    ahead = np.nan_to_num(data.promotions) > 0
    promoted = np.concatenate([recent.promo > 0, ahead], axis=1)
    found = []
    for level, group in _GROUPS.items():
        nodes, codes = node_codes(recent.profile, level)
        sold = node_sales(recent, codes)
        shares = sum_rows(promoted, codes) / np.bincount(codes)[:, None]
        own = data.aggregates[data.aggregates["level"] == level]
        past = data.levels.get(level)
        for place, node in enumerate(nodes.tolist()):
            rows = own[own["node"] == node]
            forecast = rows["operational"].to_numpy()
            if not len(rows):
                continue
            label = data.names.node(level, node)
            title = label if label in (node, "All stores") else f"{node}: {label}"
            told = past.predicted["operational"][place, :, 0].astype(np.float64) if past else _NOTHING
            found.append(
                Outlook(
                    name=f"{level}/{node}",
                    label=title,
                    group=group,
                    words=_words(title, forecast, sold[place]),
                    sold=sold[place],
                    stockout=np.zeros(sold.shape[1], dtype=bool),
                    told=told,
                    forecast=forecast,
                    strategic=rows["strategic"].to_numpy(),
                    intervals={
                        nominal: (rows[f"lower_{nominal}"].to_numpy(), rows[f"upper_{nominal}"].to_numpy())
                        for nominal in INTERVALS
                    },
                    promo=shares[place],
                    promo_words="of the products",
                )
            )
    return found


def node_sales(recent: Recent, codes: NDArray[np.intp]) -> Array:
    """Units of each node by day, shape (k, D); NaN where a notable part was not reported."""
    weight = np.broadcast_to(recent.profile["mean_quantity"].to_numpy()[:, None], recent.sold.shape)
    unknown = sum_rows(np.where(recent.unknown, weight, 0.0), codes)
    whole = sum_rows(weight, codes)
    sold = sum_rows(np.nan_to_num(recent.sold), codes)
    return np.where(unknown <= MAX_UNKNOWN * whole, sold, np.nan)


def _series_outlooks(data: DayData, recent: Recent, more: Sequence[int]) -> list[Outlook]:
    largest = np.argsort(-recent.profile["mean_quantity"].to_numpy(), kind="stable")[:_LARGEST].tolist()
    chosen = list(dict.fromkeys(more))
    groups = ["Products to look at"] * len(chosen)
    others = [row for row in largest if row not in chosen]
    rows = np.array([*chosen, *others], dtype=np.intp)
    return series_outlook(data, recent, rows, [*groups, *["Largest series"] * len(others)])


def _series_title(names: Names, store: str, sku: str) -> str:
    title = names.series(store, sku)
    return title if title == f"{sku}, {store}" else f"{title} ({sku} in {store})"


def _told(data: DayData, row: int) -> Array:
    if data.realised is None:
        return _NOTHING
    return np.asarray(data.realised.predicted["operational"][row, :, 0], dtype=np.float64)


def _words(title: str, forecast: Array, sold: Array) -> str:
    total = float(np.nansum(forecast))
    words = f"{title}. {number(total)} units in the next {len(forecast)} days"
    weeks = sold[-28:][~np.isnan(sold[-28:])]
    usual = float(weeks.mean()) * len(forecast) if len(weeks) else 0.0
    return (
        f"{words}, {change_words(total / usual - 1)} against the last four weeks." if usual else f"{words}."
    )


def as_day(value: Any) -> date:
    """Day of a timestamp."""
    return pd.Timestamp(value).date()
