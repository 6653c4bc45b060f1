"""Explanation of one series: what is forecast of a product in a store, by which model, and why."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset
from numpy.typing import NDArray

from pipelines.errors import DataContractError
from pipelines.io.lake import on_day
from pipelines.reporting.site import Site
from pipelines.reporting.words import change as change_words
from pipelines.usecase import Record, Run
from pipelines.usecases.demand.dataset import (
    AHEAD,
    CALENDAR,
    OUT_OF_SCOPE,
    PROFILE,
    Recent,
    Series,
    dates,
    narrowed,
    weekday_means,
)
from pipelines.usecases.demand.day import USUAL_DAYS, DayData
from pipelines.usecases.demand.outlook import Outlook, fan, holidays, series_outlook
from pipelines.usecases.demand.params import DemandParams
from pipelines.usecases.demand.schemas import HORIZONS, SCOPE_WORDS, horizons_within

#: Days of sales shown: two months more than on the page of all.
_HISTORY_DAYS = 112

#: What is told of the series, as columns of its profile, and facts where they are known.
_PROFILE_FACTS = (
    "region", "category", "segment", "segment_reason", "pattern", "mean_quantity", "history_days",
)  # fmt: skip
_FACTS = ("adi", "zero_share", "weekly_strength", "yearly_strength", "promo_day_share", "promo_uplift")

#: Facts of a day ahead that are told, as columns of the calendar.
_FACTS_AHEAD = {
    "is_public_holiday": "public holiday",
    "is_school_holiday": "school holiday",
    "has_local_event": "local event",
}

_BARS = "▁▂▃▄▅▆▇█"
_UNKNOWN = "·"


def explain(run: Run[DemandParams], keys: Sequence[str]) -> Record:
    """Tell the story of a series, named by store and product, and draw it.

    Returns segment, model and order with the reasons; errors of the backtest and of the last days by horizon;
    the forecasts with their intervals and what is known of their days; stock-outs; how the forecast for plans
    differs; ``sparkline`` for a terminal and ``picture``, the path of a page with the chart. See
    :func:`as_text`. Raises ``DataContractError`` if the series is not forecast on that day; the message says
    why, or names what comes near.
    """
    store_id, sku_id = only = (keys[0], keys[1])
    data = DayData(run, only=only, history_days=_HISTORY_DAYS)
    if data.recent is None or not data.served.num_rows:
        raise DataContractError(_why_not(run, only))
    [profile] = data.lake.read(PROFILE, where=narrowed(on_day(data.as_of), only)).to_pylist()
    [served] = data.served.to_pylist()
    outlook = series_outlook(data, data.recent, 0)
    order = None if data.series.empty else data.series["sarima_order"].iloc[0]
    record = {
        "as_of": run.as_of,
        "store_id": store_id,
        "sku_id": sku_id,
        "store": data.names.store(store_id),
        "product": data.names.product(sku_id),
        **{name: profile[name] for name in _PROFILE_FACTS},
        "facts": {name: profile[name] for name in _FACTS if profile[name] is not None},
        "model": served["model"],
        "model_reason": served["reason"],
        "model_version": served["model_version"],
        "sarima_order": order if isinstance(order, str) and "sarima" in served["model"] else None,
        "backtest": _backtest(data),
        "last_days": _last_days(data),
        "out_of_stock": [str(day) for day in dates(data.recent.days[data.recent.stockout[0]])],
        "forecast": _days(data, data.recent, only, outlook),
        "units": round(float(outlook.forecast.sum()), 1),
        "plans": _plans(outlook),
        "sparkline": sparkline(outlook.sold[-28:], outlook.forecast),
    }
    figure = fan(outlook, data.as_of, holidays=holidays(data, store_id))
    # Ids are the source's: only what is safe in a file's name stays.
    name = re.sub(r"[^A-Za-z0-9_-]", "_", f"{store_id}-{sku_id}")
    context = {"as_of": data.as_of, "series": record, "figure": figure, "horizons": HORIZONS}
    page = Site(run.settings.report_dir).render(f"series/{name}.html", "demand/series.html.j2", context)
    return {**record, "picture": str(page)}


def _backtest(data: DayData) -> dict[str, Any]:
    """Errors of the training run by horizon; empty for a series that no training has seen."""
    if data.series.empty:
        return {}
    row = data.series.iloc[0]
    errors = {
        f"J+{horizon}": {metric: _number(row[f"{metric}_j{horizon}"]) for metric in ("mape", "wape", "rmsse")}
        for horizon in HORIZONS
    }
    day = pd.Timestamp(row["as_of"]).date()
    return {"trained_for": day, **errors, "bias": _number(row["bias"]), "days": int(row["points"])}


def _last_days(data: DayData) -> dict[str, Any]:
    """Errors of the last two weeks by horizon; empty without forecasts and sales."""
    realised = data.realised
    if realised is None or not realised.judged.any():
        return {}
    table = realised.errors(horizons=horizons_within(realised.horizon_days))
    errors = {
        f"J+{row['horizon']}": {metric: _number(row[metric]) for metric in ("mape", "wape")}
        for row in table[table["horizon"] > 0].to_dict("records")
    }
    return {**errors, "bias": _number(table["bias"].iloc[0]), "days": int(realised.judged.any(axis=2).sum())}


def _days(data: DayData, recent: Recent, only: Series, outlook: Outlook) -> list[dict[str, Any]]:
    """Forecast of each day, with what is known of it, and the usual sales of its weekday.

    These are means of the last four weeks; days out of stock are left out.
    """
    weeks, known = recent.last(USUAL_DAYS), _known_ahead(data, only)
    usual = weekday_means(np.where(weeks.stockout[0], np.nan, weeks.actual[0]), weeks.days)
    values = {"units": outlook.forecast}
    for nominal, (lower, upper) in outlook.intervals.items():
        values |= {f"lower_{nominal}": lower, f"upper_{nominal}": upper}
    values["plans"] = outlook.strategic
    found = []
    for step in range(len(outlook.forecast)):
        day = data.as_of + timedelta(days=step + 1)
        found.append(
            {
                "ds": str(day),
                **{name: round(float(of_days[step]), 2) for name, of_days in values.items()},
                "usual": round(usual[day.weekday()], 2) if day.weekday() in usual else None,
                "known": known.get(day, []),
            }
        )
    return found


def _known_ahead(data: DayData, only: Series) -> dict[date, list[str]]:
    """Promotions, holidays and events of the days ahead, in words."""
    field = pa_dataset.field
    ahead = on_day(data.as_of) & (field("ds") > data.as_of)
    known: dict[date, list[str]] = {}
    for table, where in ((AHEAD, narrowed(ahead, only)), (CALENDAR, ahead & (field("store_id") == only[0]))):
        if not data.lake.exists(table):
            continue
        for row in data.lake.read(table, where=where).to_pylist():
            words = known.setdefault(row["ds"], [])
            if row.get("promo_discount"):
                words.append(f"{100 * row['promo_discount']:.0f} % off ({row['promo_mechanic']})")
            words += [fact for name, fact in _FACTS_AHEAD.items() if row.get(name)]
            if row.get("is_open") is False:
                words.append("closed")
    return known


def _plans(outlook: Outlook) -> str:
    ours, theirs = float(outlook.forecast.sum()), float(outlook.strategic.sum())
    if not ours:
        return f"forecast for plans: {theirs:.1f} units"
    if abs(theirs / ours - 1) < 0.0005:
        return "the forecast for plans is the same"
    return f"forecast for plans {change_words(theirs / ours - 1)}: {theirs:.0f} instead of {ours:.0f} units"


def _why_not(run: Run[DemandParams], only: Series) -> str:
    """Why a series has no forecast, in words."""
    lake, as_of, (store_id, sku_id) = run.lake, run.as_of, only
    name, day, score = f"{store_id}/{sku_id}", on_day(as_of), f"run `{run.command('score')}`"
    if not lake.exists(PROFILE):
        return f"no series is known yet: {score}"
    pairs = lake.read(PROFILE, columns=["store_id", "sku_id"], where=day)
    if not pairs.num_rows:
        return f"{as_of} was not prepared: {score}"
    gone = lake.read(OUT_OF_SCOPE, where=narrowed(day, only)).to_pylist() if lake.exists(OUT_OF_SCOPE) else []
    if gone:
        words = SCOPE_WORDS.get(gone[0]["scope_reason"], gone[0]["scope_reason"])
        return f"{name} is out of scope on {as_of}: {words} Last sold on {gone[0]['last_sold_on']}."
    stores = pc.unique(pairs["store_id"]).to_pylist()
    if store_id not in stores:
        return f"no store {store_id!r} on {as_of}{_near(store_id, stores)}"
    there = pairs.filter(pc.equal(pairs["store_id"], store_id))["sku_id"].to_pylist()
    if sku_id in there:
        return f"{name} has features but no forecast on {as_of}: {score}"
    sellers = pairs.filter(pc.equal(pairs["sku_id"], sku_id))["store_id"].to_pylist()
    if sellers:
        listed = ", ".join(sorted(sellers)[:5])
        return f"{store_id} does not sell {sku_id}; {len(sellers)} stores do: {listed}"
    return f"no product {sku_id!r} in {store_id} on {as_of}{_near(sku_id, there)}"


def _near(wanted: str, known: list[str]) -> str:
    def distance(name: str) -> tuple[float, str]:
        return (-difflib.SequenceMatcher(None, wanted, name).ratio(), name)

    return f"; did you mean {', '.join(sorted(known, key=distance)[:5])}?"


def _number(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else round(float(value), 4)


# ------------------------------------------------------------------------------------------------ text


def sparkline(sold: NDArray[Any], forecast: NDArray[Any]) -> str:
    """Bars of sales and, after a vertical line, of forecasts, on one scale from zero; a dot is unknown."""
    top = float(np.nanmax(np.concatenate([sold, forecast, [1e-9]])))
    return f"{_bars(sold, top)}|{_bars(forecast, top)}"


def as_text(record: Mapping[str, Any]) -> str:
    """Record of :func:`explain` as lines of text: a few words, and sales and forecasts as one line of bars."""
    units = sum(day["units"] for day in record["forecast"])
    order = f" {record['sarima_order']}" if record["sarima_order"] else ""
    title = f"{record['product']} ({record['sku_id']}) in {record['store']} ({record['store_id']})"
    lines = [
        f"{title}, as of {record['as_of']}",
        "",
        f"  {record['sparkline']}",
        f"  28 days sold | {len(record['forecast'])} days forecast: {units:.0f} units",
        "",
        f"Segment   {record['segment']} ({record['pattern']}): {record['segment_reason']}",
        f"Model     {record['model']}{order} of {record['model_version']}: {record['model_reason']}",
        f"Backtest  {_errors(record['backtest'])}",
        f"Lately    {_errors(record['last_days'])}",
        f"Plans     {record['plans']}",
        f"Stock     {_stock(record['out_of_stock'])}",
        "",
        "day             units   usual              80 %     plans  known",
    ]
    for day in record["forecast"]:
        when = date.fromisoformat(day["ds"])
        ends = f"{day['lower_80']:.1f} to {day['upper_80']:.1f}"
        usual = "-" if day["usual"] is None else f"{day['usual']:.1f}"
        known = ", ".join(day["known"])
        lines.append(
            f"{when:%a %d %b}  {day['units']:>9.1f}{usual:>8}  {ends:>16}  {day['plans']:>8.1f}  {known}".rstrip()
        )
    return "\n".join([*lines, "", f"Chart: {record['picture']}"])


def _bars(values: NDArray[Any], top: float) -> str:
    return "".join(
        _UNKNOWN if np.isnan(value) else _BARS[min(int(value / top * len(_BARS)), len(_BARS) - 1)]
        for value in np.asarray(values, dtype=np.float64).tolist()
    )


def _errors(errors: Mapping[str, Any]) -> str:
    if not errors:
        return "nothing to judge yet"
    parts = []
    for name, values in errors.items():
        if name.startswith("J+"):
            told = [
                f"{metric.upper()} {value:.2f}"
                if metric == "rmsse"
                else f"{metric.upper()} {100 * value:.0f} %"
                for metric, value in values.items()
                if value is not None
            ]
            parts.append(f"{name} {', '.join(told) or 'nothing yet'}")
    bias = "" if errors["bias"] is None else f"; bias {100 * errors['bias']:+.0f} %"
    return f"{'; '.join(parts)}{bias} ({errors['days']} days)"


def _stock(days: list[str]) -> str:
    if not days:
        return "never out of stock in the days shown"
    return f"out of stock on {', '.join(days[-5:])}" + (
        f" and {len(days) - 5} days before" if len(days) > 5 else ""
    )
