"""A year of a simulated chain as the product lives it: trained each quarter, served each month, judged by the truth.

What serves is judged by the demand behind the sales, not by the sales, beside the least error that is possible (the
simulation's own mean) and what a user would pick instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.forecasting.forecaster import cells_of
from models.forecasting.panel import Panel
from pipelines.io.lake import Lake, on_day
from pipelines.io.registry import CHALLENGER
from pipelines.lab.bench.demand_peers import PEERS
from pipelines.measure import Stopwatch
from pipelines.settings import Settings
from pipelines.steps import gate, prepare, score, train
from pipelines.usecase import Run
from pipelines.usecases.demand import USECASE
from pipelines.usecases.demand.dataset import read_dataset
from pipelines.usecases.demand.params import DemandParams
from pipelines.usecases.demand.schemas import FORECASTS, SEGMENTS

Matrix = NDArray[np.float64]

#: Nights between two trainings, and days between two nights.
NIGHTS, SPACING_DAYS = 3, 28

#: What is judged: the product's forecasts, and the simulation's own mean.
OURS, FLOOR = "ours", "noise_floor"

_WEEK = 7


@dataclass(frozen=True)
class Night:
    """Forecasts from one day, by candidate, and what came.

    Attributes
    ----------
    demand : ndarray of shape (n, H)
        Demand of J+1 .. J+H; NaN where a series was not on the shelf.
    forecasts : dict of str to ndarray of shape (n, H)
    cell, segment : ndarray of str, shape (n,)
    large : ndarray of bool, shape (n,)
        Whether the series sells enough for a percentage to mean something.
    """

    demand: Matrix
    forecasts: Mapping[str, Matrix]
    cell: NDArray[np.object_]
    segment: NDArray[np.object_]
    large: NDArray[np.bool_]


def year(
    settings: Settings, end: date, trainings: int, watch: Stopwatch, say: Callable[[str], None]
) -> dict[str, Any]:
    """Live the quarters before ``end`` and judge every night.

    Parameters
    ----------
    settings
        Deployment with a landed chain whose truth reaches back far enough.
    trainings
        Quarters, one training and three nights each.
    watch
        Takes the seconds of training, nights and peers.

    Returns
    -------
    dict
        By candidate: errors by horizon, by segment and by cell.
    """
    params = USECASE.load_params(settings)
    truth = pl.read_parquet(settings.var / "data" / "demand" / "truth" / "latent_demand.parquet")
    nights: list[Night] = []
    for quarter in range(trainings, 0, -1):
        trained = end - timedelta(days=SPACING_DAYS * NIGHTS * quarter)
        _, verdict = train_on(settings, trained, watch)
        say(f"{trained}: trained, {watch.seconds['train']:.0f} s so far; {verdict['words']}")
        for number in range(NIGHTS):
            day = trained + timedelta(days=SPACING_DAYS * number)
            with watch.phase("nights"):
                prepare.run(USECASE, day, settings=settings)
                score.run(USECASE, day, settings=settings, alias=CHALLENGER)
            nights.append(_night(settings, params, day, truth, watch))
            say(f"{day}: WAPE {_wape(nights[-1:], OURS):.3f}, noise floor {_wape(nights[-1:], FLOOR):.3f}")
    found = {name: _judged(nights, name) for name in nights[0].forecasts}
    for peer in PEERS:  # one that is too slow for all series is compared on those that it forecast
        found[peer]["wape_of_ours_there"] = _wape(nights, OURS, also=peer)
    return found


def train_on(settings: Settings, day: date, watch: Stopwatch) -> tuple[dict[str, Any], dict[str, Any]]:
    """Prepare, train and judge on a day; returns what the training and its gate told."""
    with watch.phase("train"):
        prepare.run(USECASE, day, settings=settings, training=True)
        trained = train.run(USECASE, day, settings=settings)
        return trained, gate.run(USECASE, day, settings=settings)


def _night(
    settings: Settings, params: DemandParams, day: date, truth: pl.DataFrame, watch: Stopwatch
) -> Night:
    data = read_dataset(Run(USECASE.name, day, settings, params))
    profile, horizon = data.profile, params.horizon_days
    row = {pair: i for i, pair in enumerate(zip(profile["store_id"], profile["sku_id"], strict=True))}

    def matrix(rows: pl.DataFrame, column: str) -> Matrix:
        out = np.full((len(profile), horizon), np.nan)
        at = [row.get(pair, -1) for pair in rows.select("store_id", "sku_id").iter_rows()]
        step = (rows["ds"] - day).dt.total_days().to_numpy() - 1
        known = np.array(at) >= 0
        out[np.array(at)[known], step[known]] = rows[column].to_numpy()[known]
        return out

    came = truth.filter(pl.col("ds").is_between(day, day + timedelta(days=horizon), closed="right"))
    served = pl.DataFrame(
        Lake.of(settings).read(
            FORECASTS, columns=["store_id", "sku_id", "ds", "operational"], where=on_day(day)
        )
    )
    forecasts = {OURS: matrix(served, "operational"), FLOOR: matrix(came, "expected")}
    panel: Panel = data.open(day).panel
    for name, forecast in PEERS.items():
        with watch.phase(name):
            forecasts[name] = forecast(panel)[:, 1:]
    return Night(
        demand=matrix(came, "demand"),
        forecasts=forecasts,
        cell=cells_of(profile),
        segment=profile["segment"].to_numpy(object),
        large=profile["mean_quantity"].to_numpy() >= params.monitoring.min_units,
    )


def _judged(nights: list[Night], name: str) -> dict[str, Any]:
    """Errors of a candidate on the days that it forecast."""
    horizons = (1, _WEEK, 2 * _WEEK)
    found: dict[str, Any] = {
        "wape": _wape(nights, name),
        **{f"wape_j{h}": _wape(nights, name, days=[h - 1]) for h in horizons},
        "wape_7_day_sums": _week_errors(nights, name)["wape"],
        "mape_j7": _mape(nights, name),
    }
    for segment in SEGMENTS:
        found[f"mape_j7_{segment}"] = _mape(nights, name, segment)
    cells = np.unique(np.concatenate([night.cell for night in nights]).astype(str))
    found["by_cell"] = {cell: _week_errors(nights, name, cell) for cell in cells}
    return found


def _pairs(
    night: Night, name: str, rows: NDArray[np.bool_] | None = None, also: str | None = None
) -> tuple[Matrix, Matrix]:
    """Demand and forecasts where both are known (and those of another candidate), 0 elsewhere."""
    known = np.isfinite(night.demand) & np.isfinite(night.forecasts[name])
    if also is not None:
        known &= np.isfinite(night.forecasts[also])
    if rows is not None:
        known &= rows[:, None]
    return np.where(known, night.demand, 0.0), np.where(known, night.forecasts[name], 0.0)


def _wape(nights: list[Night], name: str, *, days: list[int] | None = None, also: str | None = None) -> float:
    error = total = 0.0
    for night in nights:
        pairs = _pairs(night, name, also=also)
        demand, forecast = (part if days is None else part[:, days] for part in pairs)
        error, total = error + np.abs(forecast - demand).sum(), total + demand.sum()
    return float(error / total)


def _week_errors(nights: list[Night], name: str, cell: str | None = None) -> dict[str, float]:
    """WAPE and bias of the sums over J+1..J+7 and J+8..J+14."""
    error = signed = total = 0.0
    for night in nights:
        demand, forecast = _pairs(night, name, None if cell is None else night.cell == cell)
        weeks = [slice(start, start + _WEEK) for start in range(0, demand.shape[1] - _WEEK + 1, _WEEK)]
        miss = np.stack([forecast[:, week].sum(axis=1) - demand[:, week].sum(axis=1) for week in weeks])
        error, signed, total = error + np.abs(miss).sum(), signed + miss.sum(), total + demand.sum()
    return {"wape": float(error / total), "bias": float(signed / total)} if total else {}


def _mape(nights: list[Night], name: str, segment: str | None = None) -> float:
    """MAPE at J+7 of days with demand, of series that sell enough."""
    parts = []
    for night in nights:
        rows = night.large & (True if segment is None else night.segment == segment)
        demand, forecast = (part[:, _WEEK - 1] for part in _pairs(night, name, rows))
        parts.append(np.abs(forecast - demand)[demand > 0] / demand[demand > 0])
    errors = np.concatenate(parts)
    return float(errors.mean()) if len(errors) else float("nan")
