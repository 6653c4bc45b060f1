"""Forecasts of all series from one origin: what the backtest judges and what serves at night."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.lags import origin_frame
from models.forecasting.competition import AVERAGE
from models.forecasting.forecaster import DemandForecaster, cells_of, known_features
from models.forecasting.local import forecast_group, pack, unpack
from models.forecasting.local.routing import route
from models.forecasting.panel import Matrix, Panel
from pipelines.engines import Engine, GroupsLost
from pipelines.usecases.demand.dataset import Origin

log = logging.getLogger(__name__)


def clusters_of(profile: pd.DataFrame) -> list[str]:
    """Cluster of each series, for which a SARIMA order is cached: products of a category that sell alike."""
    return [
        f"{category}/{cell}" for category, cell in zip(profile["category"], cells_of(profile), strict=True)
    ]


def orders_of_series(profile: pd.DataFrame, orders: Mapping[str, str]) -> list[str]:
    """Order of each series by its cluster; ``""``, the models' default, for a cluster not searched."""
    return [orders.get(cluster, "") for cluster in clusters_of(profile)]


@dataclass(frozen=True)
class Answer:
    """Forecasts of one model.

    Attributes
    ----------
    units : ndarray of float32, shape (n, H)
        NaN in rows that were not asked for.
    used, reason : ndarray of str, shape (n,)
        Model that made each forecast (a fallback where the one asked for could not), and why.
    seconds : float
        Cost of a series.
    """

    units: Matrix
    used: NDArray[np.object_]
    reason: NDArray[np.object_]
    seconds: float


@dataclass(frozen=True)
class Forecasts:
    """What serves, for every series.

    Attributes
    ----------
    units : ndarray of float32, shape (n, H)
    model, reason : ndarray of str, shape (n,)
    """

    units: Matrix
    model: NDArray[np.object_]
    reason: NDArray[np.object_]


def run_models(
    origin: Origin,
    wanted: Mapping[str, NDArray[np.intp]],
    *,
    boosters: Mapping[str, Any],
    orders: Sequence[str],
    engine: Engine,
) -> dict[str, Answer]:
    """Run models on chosen series.

    Parameters
    ----------
    wanted
        Rows of the panel by model. Global models predict all their series at once here; the others run
        in the engine.
    orders
        SARIMA order of each series of the panel, ``""`` where none is known.
    """
    answers = _run_boosters(origin, {m: r for m, r in wanted.items() if m in boosters}, boosters)
    local = {model: rows for model, rows in wanted.items() if model not in boosters and len(rows)}
    answers |= run_local(origin.panel, local, orders=orders, engine=engine)
    return answers


def run_local(
    panel: Panel,
    wanted: Mapping[str, NDArray[np.intp]],
    *,
    orders: Sequence[str] | None,
    engine: Engine,
) -> dict[str, Answer]:
    """Run models that are fitted one series at a time, in the engine."""
    if not wanted:
        return {}
    parts = []
    for model, rows in wanted.items():
        some = [orders[row] for row in rows] if orders is not None else None
        packed = pack(panel.take(rows), model, some)
        parts.append(packed.assign(row=rows[packed["row"].to_numpy()]))
    packed = pd.concat(parts, ignore_index=True)
    try:
        result = engine.map_groups(forecast_group, packed, key="group")
    except GroupsLost as error:
        result = _instead(packed, error)
    answers = {}
    for model, rows in wanted.items():
        own = result[result["model"] == model]
        first = own[own["step"] == 0].sort_values("row")
        answer = _empty(panel, float(first["seconds"].mean()))
        at = first["row"].to_numpy()
        answer.units[at] = unpack(own)
        for name in ("used", "reason"):
            getattr(answer, name)[at] = first[name].to_numpy(object)
        answers[model] = answer
        log.info("%s forecast %d series, %.1f ms each", model, len(rows), answer.seconds * 1000)
    return answers


def fallbacks_at(origin: Origin, short_days: int) -> NDArray[np.object_]:
    """Fallback of each series as it stood at a past origin, ``""`` where models could be fitted.

    Today's are in the profile; those of a past day must not know that a store closed since.
    """
    panel = origin.panel
    names = route(panel.y.astype(np.float64), panel.open[:, panel.n_history :]).astype(object)
    known = np.isfinite(panel.y).sum(axis=1)
    names[(names == "fallback_short") & (known >= short_days)] = ""
    return names


def serve(
    origin: Origin,
    profile: pd.DataFrame,
    forecaster: DemandForecaster,
    *,
    fallbacks: NDArray[np.object_],
    orders: Sequence[str],
    engine: Engine,
) -> Forecasts:
    """Forecast every series by the champion of its cell, or by its fallback.

    Every series gets a forecast: one that no model can be fitted to has a named fallback, and where a
    model fails on a series, the reason says so.

    Parameters
    ----------
    fallbacks : ndarray of str, shape (n,)
        Named fallback of each series, ``""`` where the champion of its cell serves.
    """
    chosen = [forecaster.models_of(cell) for cell in cells_of(profile)]
    named = fallbacks != ""
    models = [(fallbacks[i],) if named[i] else chosen[i] for i in range(len(profile))]
    rows_of: dict[str, list[int]] = {}
    for row, names in enumerate(models):
        for name in names:
            rows_of.setdefault(name, []).append(row)
    answers = run_models(
        origin,
        {name: np.array(rows, dtype=np.intp) for name, rows in rows_of.items()},
        boosters=forecaster.boosters or {},
        orders=orders,
        engine=engine,
    )
    total = np.zeros((len(profile), origin.panel.horizon), dtype=np.float32)
    for name, rows in rows_of.items():
        total[rows] += answers[name].units[rows]
    share = np.array([len(names) for names in models], dtype=np.float32)[:, None]
    words = forecaster.words or {}
    cells = cells_of(profile)
    used = [answers[names[0]].used[i] if len(names) == 1 else AVERAGE for i, names in enumerate(models)]
    reason = [
        f"champion of {cells[i]}: {words.get(cells[i], 'no backtest of this cell yet')}"
        if not named[i] and used[i] in (names[0], AVERAGE)
        else answers[names[0]].reason[i]
        for i, names in enumerate(models)
    ]
    return Forecasts(
        units=total / share,
        model=np.array(used, dtype=object),
        reason=np.array(reason, dtype=object),
    )


def _run_boosters(
    origin: Origin, wanted: Mapping[str, NDArray[np.intp]], boosters: Mapping[str, Any]
) -> dict[str, Answer]:
    """Predict by global models; the features are made once for all of them."""
    if not any(len(rows) for rows in wanted.values()):
        return {}
    panel = origin.panel
    rows = np.unique(np.concatenate(list(wanted.values())))
    cells = np.repeat(rows, panel.horizon), np.tile(np.arange(panel.horizon), len(rows))
    started = time.perf_counter()
    X = origin_frame(panel, origin.day, panel.horizon, ahead=origin.ahead, cells=cells)
    shared = time.perf_counter() - started
    closed = ~panel.open[rows, panel.n_history :]
    answers = {}
    for name, own in wanted.items():
        started = time.perf_counter()
        predicted = boosters[name].predict(known_features(boosters[name], X))
        values = np.asarray(predicted, dtype=np.float32)
        values = values.reshape(len(rows), panel.horizon)
        seconds = (time.perf_counter() - started + shared) / len(rows)
        values = np.where(closed, np.float32(0), np.maximum(values, 0))
        answer = _empty(panel, seconds)
        mine = np.isin(rows, own)
        answer.units[rows[mine]] = values[mine]
        answer.used[own], answer.reason[own] = name, "predicted"
        answers[name] = answer
        log.info("%s forecast %d series, %.2f ms each", name, len(own), seconds * 1000)
    return answers


def _instead(packed: pd.DataFrame, error: GroupsLost) -> pd.DataFrame:
    """Forecast the series of lost groups by the same weekday, in this process: no series goes without."""
    log.error("%s; their series are forecast by seasonal_naive", error)
    lost = packed[packed["group"].isin(error.groups)]
    instead = forecast_group(lost.assign(model="seasonal_naive"))
    asked = lost.set_index("row")["model"]
    words = "the process that fitted it died: " + " ".join(str(error).split())[:120]
    instead = instead.assign(model=instead["row"].map(asked), reason=words)
    return pd.concat([error.rest, instead], ignore_index=True)


def _empty(panel: Panel, seconds: float) -> Answer:
    n = len(panel)
    return Answer(
        units=np.full((n, panel.horizon), np.nan, dtype=np.float32),
        used=np.full(n, "", dtype=object),
        reason=np.full(n, "", dtype=object),
        seconds=seconds,
    )
