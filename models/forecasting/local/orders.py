"""Search of SARIMA orders: weekly, for clusters of similar series, on representatives of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.forecasting.local.arima import DEFAULT_ORDER, Fitted, Order, fit, forecast
from models.forecasting.local.catalogue import FIT_ERRORS
from models.forecasting.local.cleaning import clean
from models.forecasting.local.exchange import pack
from models.forecasting.local.groups import SECONDS_PER_SERIES
from models.forecasting.local.limits import time_limit
from models.forecasting.local.matrices import Group, weekday
from models.forecasting.local.routing import route
from models.forecasting.panel import Panel

Floats = NDArray[np.float64]
GroupFunction = Callable[[pd.DataFrame], pd.DataFrame]

#: Orders that compete. Few on purpose: each is a plausible model of daily sales with a weekly pattern,
#: and a search over hundreds of them on noisy counts finds noise.
CANDIDATES = tuple(
    Order.parse(text)
    for text in (
        "(1,0,1)(0,1,1)",
        "(1,0,0)(0,1,1)",
        "(2,0,1)(0,1,1)",
        "(0,1,1)(0,1,1)",
        "(1,1,1)(0,1,1)",
        "(1,0,0)(1,0,0)",
        "(1,0,1)(0,0,0)",
        "(0,1,1)(0,0,0)",
        "(1,1,1)(0,0,0)",
    )
)

#: Series of a cluster that are searched on.
REPRESENTATIVES = 5

#: Days before the end of the history from which candidates with different differencing are compared.
ORIGINS = (14, 28, 42)
HORIZON = 14

TABLE_TYPES = {
    "cluster": "string",
    "order": "string",
    "aicc": "float64",
    "error": "float64",
    "series": "int64",
    "searched_on": "string",
}


def search_orders(
    panel: Panel,
    clusters: Sequence[str],
    *,
    run: Callable[[GroupFunction, pd.DataFrame], pd.DataFrame] | None = None,
) -> pd.DataFrame:
    """Orders of each cluster, to be kept in a table and used until the next search.

    Parameters
    ----------
    panel : Panel
    clusters : sequence of n str
        Cluster of each series, for instance from :func:`similar_series`.
    run : callable, optional
        Applies a function to the groups (column ``group``) of a frame, as an engine does; without it the
        clusters are searched one after another.

    Returns
    -------
    DataFrame
        One row per cluster: ``cluster``, ``order``, ``aicc`` and ``error`` (mean over the
        representatives; the error is the mean absolute one of 14 days ahead over the mean demand),
        ``series`` (representatives fitted), ``searched_on`` (ISO date). The default order, NaN and 0
        where no series of a cluster can be fitted.
    """
    labels = np.asarray(clusters, dtype=object)
    if len(labels) != len(panel):
        raise ValueError(f"clusters must have {len(panel)} entries, one per series, got {len(labels)}")
    if not len(panel):
        return search_group(pd.DataFrame())
    rows = np.sort(np.concatenate([_representatives(panel, labels == name) for name in np.unique(labels)]))
    packed = pack(panel.take(rows), "sarima")
    packed["group"] = labels[rows][packed["row"].to_numpy()]
    if run is not None:
        return run(search_group, packed)
    found = [search_group(group) for _, group in packed.groupby("group", sort=True)]
    return pd.concat([search_group(packed.iloc[:0]), *found], ignore_index=True)


def orders_of(table: pd.DataFrame, clusters: Sequence[str]) -> list[str]:
    """Order of each series by its cluster; ``""``, which means the default, for a cluster not searched."""
    known = dict(zip(table["cluster"].astype(str), table["order"].astype(str), strict=True))
    return [known.get(str(cluster), "") for cluster in clusters]


def search_group(frame: pd.DataFrame) -> pd.DataFrame:
    """Search on the packed representatives of one cluster; see :func:`search_orders`.

    Candidates with the same differencing are compared by their mean AICc, the winners of the differencings
    by their errors 14 days ahead from past origins: a likelihood says nothing across differencings.
    """
    if frame.empty:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in TABLE_TYPES.items()})
    group = Group.of(frame)
    base = group.cleaned.base[route(group.cleaned.demand, group.opened[:, -group.horizon :]) == ""]
    fits = {order: found for order in CANDIDATES if (found := _fit_all(base, order))}
    best: tuple[float, float, Order] = (float("nan"), float("nan"), DEFAULT_ORDER)
    if fits:
        winners = {}
        for order, found in sorted(fits.items(), key=lambda item: _mean_aicc(item[1]), reverse=True):
            winners[order.d, order.D] = (_mean_aicc(found), order)
        scored = [(_error(base, order), aicc, order) for aicc, order in winners.values()]
        best = min(scored, key=lambda entry: entry[:2])
    row = {
        "cluster": str(frame["group"].iloc[0]),
        "order": str(best[2]),
        "aicc": best[1],
        "error": best[0],
        "series": len(base) if fits else 0,
        "searched_on": str(frame["as_of"].iloc[0]),
    }
    return pd.DataFrame([row]).astype(TABLE_TYPES)


def similar_series(panel: Panel) -> list[str]:
    """Cluster of each series by its volume, the strength of its week and the memory of its level.

    Fixed bounds rather than a fitted clustering: a series keeps its name from night to night, so the
    orders searched on Sunday are found again on Monday.

    Returns
    -------
    list of n str
        For instance ``"volume 5-20, week strong, memory long"``.
    """
    length = panel.n_history
    week_day = weekday(panel.days[:length])
    cleaned = clean(
        panel.y.astype(np.float64),
        panel.censored,
        panel.open[:, :length],
        np.nan_to_num(panel.promo[:, :length].astype(np.float64)),
        week_day,
    )
    known = np.isfinite(cleaned.base)
    days = np.maximum(known.sum(axis=1), 1)
    base = np.where(known, cleaned.base, 0.0)
    mean = base.sum(axis=1) / days
    spread = np.maximum(np.where(known, (base - mean[:, None]) ** 2, 0.0).sum(axis=1), 1e-12)
    of_day = np.equal.outer(week_day, np.arange(7)).astype(np.float64)
    count = known @ of_day
    of_week = np.divide(base @ of_day, count, out=np.zeros_like(count), where=count > 0)
    week = (count * np.where(count > 0, of_week - mean[:, None], 0.0) ** 2).sum(axis=1) / spread
    rest = np.where(known, base - of_week[:, week_day], 0.0)
    both = known[:, 1:] & known[:, :-1]
    memory = np.where(both, rest[:, 1:] * rest[:, :-1], 0.0).sum(axis=1) / np.maximum(
        (rest**2).sum(axis=1), 1e-12
    )
    volume = np.select([mean < 1, mean < 5, mean < 20], ["under 1", "1-5", "5-20"], default="over 20")
    strength = np.where(week > 0.15, "strong", "weak")
    # Twice the standard error of a correlation is no memory.
    length_of_memory = np.where(memory > np.maximum(0.1, 2 / np.sqrt(days)), "long", "short")
    return [
        f"volume {v}, week {s}, memory {m}"
        for v, s, m in zip(volume, strength, length_of_memory, strict=True)
    ]


def _representatives(panel: Panel, members: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Rows of a few members, evenly over the volumes of those with the longest histories."""
    rows = np.flatnonzero(members)
    days = np.isfinite(panel.y[rows]).sum(axis=1)
    rows = rows[days >= 0.8 * days.max()]
    volume = np.nansum(panel.y[rows], axis=1)
    ordered = rows[np.argsort(volume, kind="stable")]
    at = np.linspace(0, len(ordered) - 1, min(REPRESENTATIVES, len(ordered)) * 2 + 1)[1::2]
    return np.asarray(ordered[np.unique(at.round().astype(np.intp))])


def _fit_all(base: Floats, order: Order) -> list[Fitted]:
    """Fits of all series; empty if one of them fails, for means must be of the same series."""
    fits = []
    for series in base:
        try:
            with time_limit(SECONDS_PER_SERIES):
                fits.append(fit(series, order))
        except FIT_ERRORS:
            return []
    return fits


def _mean_aicc(fits: list[Fitted]) -> float:
    return float(np.mean([fitted.aicc for fitted in fits]))


def _error(base: Floats, order: Order) -> float:
    """Mean absolute error 14 days ahead over the mean demand, over series and origins."""
    errors = []
    for series in base:
        for origin in ORIGINS:
            past, actual = series[:-origin], series[len(series) - origin :][:HORIZON]
            known = np.isfinite(actual)
            try:
                ahead = np.maximum(forecast(past, fit(past, order), HORIZON), 0.0)
            except FIT_ERRORS:
                return float("inf")
            scale = max(float(np.nanmean(past)), 1e-9)
            if known.any():
                errors.append(np.abs(actual - ahead)[known].mean() / scale)
    return float(np.mean(errors)) if errors else float("inf")
