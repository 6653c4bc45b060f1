"""The competition: which model serves which group of series, by a rolling-origin backtest.

All models forecast the same series from the same past days; a *cell* is a group of series within which one champion is
chosen. The Poisson deviance of all horizons together decides: it is lowest for the mean of the demand, large or small,
whereas the absolute errors of single days are lowest for zero where a product sells once a fortnight.

A default serves unless another model is surely better: the lowest of several errors is partly luck, and a choice that
changes with the draw of the series is worth less than the difference it was made by.

A model that forecasts nothing, the same for all, or far more or less than was sold cannot serve, whatever its error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.forecasting.accuracy import error_table, judged_days, poisson_deviance, sum_rows

#: Name of the mean of a cell's two best models, a candidate like the others.
AVERAGE = "average"

#: Draws of series by which a lower error is told from luck; of fewer series than that, each origin is drawn by itself.
DRAWS, LEAST_SERIES = 1_000, 10

#: Share of the sales by which a cell's total may be missed, beyond so many standard deviations of chance.
MOST_BIAS, DEVIATIONS = 0.5, 4.0


@dataclass(frozen=True)
class Champion:
    """What serves a cell.

    Attributes
    ----------
    cell : str
    models : tuple of str
        Models whose forecasts are averaged; mostly one.
    wape, deviance : float
        Its errors in the backtest; NaN where nothing was sold.
    words : str
        Why it was chosen.
    """

    cell: str
    models: tuple[str, ...]
    wape: float
    deviance: float
    words: str

    @property
    def name(self) -> str:
        """Name in tables: the model, or ``average``."""
        return self.models[0] if len(self.models) == 1 else AVERAGE


@dataclass(frozen=True)
class Backtest:
    """Forecasts of all candidates for the same series, origins and days.

    Attributes
    ----------
    actual, censored : ndarray of shape (rows, H)
        Sales and stock-outs; a row is a series at an origin.
    forecasts : mapping of str to ndarray of shape (rows, H)
        By candidate; a row of NaN where the candidate does not compete (a model for new products only).
    cells, series : sequence of length rows
        Cell and series of each row.
    scale : ndarray of shape (rows,)
        :func:`~models.forecasting.accuracy.naive_scale` of each row's series.
    seconds : mapping of str to float
        Cost of one forecast of one series, by candidate.
    """

    actual: NDArray[Any]
    censored: NDArray[np.bool_]
    forecasts: Mapping[str, NDArray[Any]]
    cells: NDArray[Any]
    series: NDArray[Any]
    scale: NDArray[np.float64]
    seconds: Mapping[str, float]


def compete(
    backtest: Backtest,
    *,
    default: str,
    confidence: float,
    max_seconds: float,
    horizons: Sequence[int] | None = None,
    averages: bool = True,
    pinned: Mapping[str, str] | None = None,
    seed: int = 0,
) -> tuple[dict[str, Champion], pd.DataFrame]:
    """Choose the champion of every cell.

    Parameters
    ----------
    default
        Candidate that serves unless another is surely better; where it does not compete, the lowest error serves.
    confidence
        Share of the draws of series in which another's deviance must be lower than the default's.
    max_seconds
        Models that cost more per series cannot be champion; they stay in the table.
    horizons
        Horizons of the table, counted from 1; all by default.
    averages
        Whether the mean of a cell's two best models competes, too.
    pinned
        Model that serves a cell whatever the others' errors, by cell, unless it is broken.
    seed
        Of the draws.

    Returns
    -------
    champions : dict of str to Champion
    table : pandas.DataFrame
        One row per cell, model and horizon (0: all), as of
        :func:`~models.forecasting.accuracy.error_table`, with ``cell``, ``model``, ``seconds_per_series``
        and ``is_champion``.
    """
    parts: list[pd.DataFrame] = []
    champions: dict[str, Champion] = {}
    for cell in np.unique(backtest.cells):
        rows = np.flatnonzero(backtest.cells == cell)
        taking_part = {
            name: values[rows]
            for name, values in backtest.forecasts.items()
            if np.isfinite(values[rows]).all()
        }
        seconds = {name: backtest.seconds[name] for name in taking_part}
        broken = {
            name: words
            for name, values in taking_part.items()
            if (words := fault(backtest.actual[rows], backtest.censored[rows], backtest.series[rows], values))
        }
        losses = {name: _losses(backtest, rows, values) for name, values in taking_part.items()}
        able = [name for name in taking_part if name not in broken and seconds[name] <= max_seconds]
        pair = tuple(sorted(able, key=lambda name: (losses[name].sum(), name))[:2])
        if averages and len(pair) == 2:
            taking_part[AVERAGE] = (taking_part[pair[0]] + taking_part[pair[1]]) / 2
            losses[AVERAGE] = _losses(backtest, rows, taking_part[AVERAGE])
            seconds[AVERAGE] = seconds[pair[0]] + seconds[pair[1]]
            able += [AVERAGE] if seconds[AVERAGE] <= max_seconds else []
        chosen, words = _choose(
            {name: losses[name] for name in able or taking_part}, default, confidence, seed
        )
        asked = (pinned or {}).get(str(cell))
        if asked in able and asked != chosen:
            chosen, words = asked, f"pinned by hand; else {chosen} would serve: {words}"
        elif asked not in (None, chosen):
            words += f"; {asked}, pinned by hand, is broken, too dear or no candidate"
        models = pair if chosen == AVERAGE else (chosen,)
        if len(models) > 1:
            words += f"; mean of {' and '.join(models)}"
        if broken:
            words += "; left out: " + "; ".join(f"{name} {why}" for name, why in sorted(broken.items()))
        tables = {name: _errors(backtest, rows, values, horizons) for name, values in taking_part.items()}
        overall = tables[chosen].iloc[0]
        champions[str(cell)] = Champion(
            str(cell), models, float(overall["wape"]), float(overall["deviance"]), words
        )
        parts += [
            table.assign(cell=cell, model=name, seconds_per_series=seconds[name], is_champion=name == chosen)
            for name, table in tables.items()
        ]
    return champions, pd.concat(parts, ignore_index=True).drop(columns="group")


def fault(
    actual: NDArray[Any], censored: NDArray[np.bool_], series: NDArray[Any], forecast: NDArray[Any]
) -> str:
    """What is wrong with forecasts whatever their error; empty if nothing is, or if nothing was sold.

    Parameters
    ----------
    actual, censored, forecast : ndarray of shape (rows, H)
    series : ndarray of shape (rows,)
        Series of each row.
    """
    judged = judged_days(actual, censored)
    sold_on, units = actual[judged].astype(np.float64), forecast[judged].astype(np.float64)
    sold, total = sold_on.sum(), units.sum()
    if sold <= 0:
        return ""
    if not np.isfinite(total):
        return "forecasts no number"
    if total <= 0:
        return "forecasts nothing"
    if len(np.unique(series)) > 1 and np.ptp(units) == 0 < np.ptp(sold_on):
        return "forecasts the same for all series and days"
    # Counts of one variance over mean for all: the squares of the sales bound the variance of their sum.
    if abs(total - sold) > max(MOST_BIAS * sold, DEVIATIONS * np.sqrt((sold_on**2).sum())):
        return f"forecasts {total / sold:.0%} of what was sold"
    return ""


def _errors(
    backtest: Backtest, rows: NDArray[np.intp], forecast: NDArray[Any], horizons: Sequence[int] | None
) -> pd.DataFrame:
    return error_table(
        backtest.actual[rows],
        forecast,
        censored=backtest.censored[rows],
        series=backtest.series[rows],
        scale=backtest.scale[rows],
        horizons=horizons,
    )


def _losses(backtest: Backtest, rows: NDArray[np.intp], forecast: NDArray[Any]) -> NDArray[np.float64]:
    """Deviance of each series of a cell (of few series, at each origin), summed over its judged days."""
    judged = judged_days(backtest.actual[rows], backtest.censored[rows])
    each = np.where(judged, poisson_deviance(np.where(judged, backtest.actual[rows], 0), forecast), 0.0)
    names, of_row = np.unique(backtest.series[rows], return_inverse=True)
    if len(names) < LEAST_SERIES:
        return np.asarray(each.sum(axis=1))
    return sum_rows(each.sum(axis=1, keepdims=True), of_row)[:, 0]


def _choose(
    losses: Mapping[str, NDArray[np.float64]], default: str, confidence: float, seed: int
) -> tuple[str, str]:
    """Name of what serves, and why."""
    best = min(losses, key=lambda name: (losses[name].sum(), name != default, name))
    if default not in losses or best == default:
        return best, "lowest Poisson deviance in the backtest"
    gain = losses[default] - losses[best]
    drawn = np.random.default_rng(seed).integers(0, len(gain), (DRAWS, len(gain)))
    sure = float((gain[drawn].sum(axis=1) > 0).mean())
    lower = f"a Poisson deviance {gain.sum() / losses[default].sum():.1%} lower than that of"
    if sure >= confidence:
        return best, f"{lower} {default} in the backtest, in {sure:.0%} of the draws of series"
    return default, f"default; {best} had {lower} the default, in too few of the draws of series: {sure:.0%}"
