"""The story of a series for a terminal: a few lines of words, and sales and forecasts as one line of bars."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BARS = "▁▂▃▄▅▆▇█"
_UNKNOWN = "·"


def sparkline(sold: NDArray[Any], forecast: NDArray[Any]) -> str:
    """Bars of sales and, after a vertical line, of forecasts, on one scale from zero; a dot is unknown."""
    top = float(np.nanmax(np.concatenate([sold, forecast, [1e-9]])))
    return f"{_bars(sold, top)}|{_bars(forecast, top)}"


def as_text(record: Mapping[str, Any]) -> str:
    """Record of :func:`pipelines.usecases.demand.explain.run` as lines of text."""
    units = sum(day["units"] for day in record["forecast"])
    title = f"{record['product']} ({record['sku_id']}) in {record['store']} ({record['store_id']})"
    lines = [
        f"{title}, as of {record['as_of']}",
        "",
        f"  {record['sparkline']}",
        f"  28 days sold | {len(record['forecast'])} days forecast: {units:.0f} units",
        "",
        f"Segment   {record['segment']} ({record['pattern']}): {record['segment_reason']}",
        f"Model     {record['model']}{_order(record)} of {record['model_version']}: {record['model_reason']}",
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


def _order(record: Mapping[str, Any]) -> str:
    return f" {record['sarima_order']}" if record["sarima_order"] else ""


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
