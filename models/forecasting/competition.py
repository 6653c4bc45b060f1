"""The competition: which model serves which group of series, by a rolling-origin backtest and by cost.

All models forecast the same series from the same past days; a *cell* is a group of series within which
one champion is chosen. The error that decides is the WAPE of all horizons together: units, not percentages
of slow movers. Among the models whose error is within a tolerance of the best, the cheapest serves: a
difference below the noise of the backtest is not worth hours of computing every night.

Errors of single days do not find every broken model: of a product that sells once a fortnight, zero has the lowest
WAPE. So a model that forecasts nothing, the same for all, or far more or less than was sold cannot serve.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.forecasting.accuracy import error_table, judged_days

#: Name of the mean of a cell's two best models, a candidate like the others.
AVERAGE = "average"

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
    wape : float
        Its error in the backtest; NaN where nothing was sold.
    words : str
        Why it was chosen.
    """

    cell: str
    models: tuple[str, ...]
    wape: float
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
    tolerance: float,
    max_seconds: float,
    horizons: Sequence[int] | None = None,
    averages: bool = True,
) -> tuple[dict[str, Champion], pd.DataFrame]:
    """Choose the champion of every cell.

    Parameters
    ----------
    tolerance
        Share of the best error within which a cheaper model is preferred.
    max_seconds
        Models that cost more per series cannot be champion; they stay in the table.
    horizons
        Horizons of the table, counted from 1; all by default.
    averages
        Whether the mean of a cell's two best models competes, too.

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
            name: words for name, values in taking_part.items() if (words := _fault(backtest, rows, values))
        }
        tables = {name: _errors(backtest, rows, values, horizons) for name, values in taking_part.items()}
        able = [name for name in tables if name not in broken and seconds[name] <= max_seconds]
        pair = _best_two(tables, able) if averages else None
        if pair:
            tables[AVERAGE] = _errors(
                backtest, rows, (taking_part[pair[0]] + taking_part[pair[1]]) / 2, horizons
            )
            seconds[AVERAGE] = seconds[pair[0]] + seconds[pair[1]]
            able += [AVERAGE] if seconds[AVERAGE] <= max_seconds else []
        champion = _choose(str(cell), tables, seconds, pair, able or list(tables), tolerance)
        if broken:
            left_out = "; ".join(f"{name} {words}" for name, words in sorted(broken.items()))
            champion = replace(champion, words=f"{champion.words}; left out: {left_out}")
        champions[str(cell)] = champion
        parts += [
            table.assign(
                cell=cell, model=name, seconds_per_series=seconds[name], is_champion=name == champion.name
            )
            for name, table in tables.items()
        ]
    return champions, pd.concat(parts, ignore_index=True).drop(columns="group")


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


def _fault(backtest: Backtest, rows: NDArray[np.intp], forecast: NDArray[Any]) -> str:
    """What is wrong with a model in a cell whatever its error; empty if nothing is, or if nothing was sold."""
    judged = judged_days(backtest.actual[rows], backtest.censored[rows])
    actual, units = backtest.actual[rows][judged].astype(np.float64), forecast[judged].astype(np.float64)
    sold, total = actual.sum(), units.sum()
    if sold <= 0:
        return ""
    if total <= 0:
        return "forecasts nothing"
    if len(np.unique(backtest.series[rows])) > 1 and np.ptp(units) == 0 < np.ptp(actual):
        return "forecasts the same for all series and days"
    # Counts of one variance over mean for all: the squares of the sales bound the variance of their sum.
    if abs(total - sold) > max(MOST_BIAS * sold, DEVIATIONS * np.sqrt((actual**2).sum())):
        return f"forecasts {total / sold:.0%} of what was sold"
    return ""


def _overall(tables: Mapping[str, pd.DataFrame]) -> dict[str, float]:
    """WAPE over all horizons by model; infinite where nothing was sold."""
    return {name: float(np.nan_to_num(table["wape"].iloc[0], nan=np.inf)) for name, table in tables.items()}


def _best_two(tables: Mapping[str, pd.DataFrame], able: Sequence[str]) -> tuple[str, str] | None:
    wape = _overall(tables)
    best = sorted(able, key=lambda name: (wape[name], name))
    return (best[0], best[1]) if len(best) > 1 else None


def _choose(
    cell: str,
    tables: Mapping[str, pd.DataFrame],
    seconds: Mapping[str, float],
    pair: tuple[str, str] | None,
    able: Sequence[str],
    tolerance: float,
) -> Champion:
    wape = _overall(tables)
    best = min(able, key=lambda name: (wape[name], seconds[name], name))
    near = [name for name in able if wape[name] <= wape[best] * (1 + tolerance)] or [best]
    chosen = min(near, key=lambda name: (seconds[name], wape[name], name))
    words = f"lowest WAPE in the backtest, {wape[chosen]:.3f}"
    if not np.isfinite(wape[chosen]):
        words = "nothing was sold in the backtest; cheapest model"
    elif chosen != best:
        words = (
            f"WAPE {wape[chosen]:.3f} is within {tolerance:.0%} of the best, {wape[best]:.3f} of {best}, at "
            f"{seconds[chosen] * 1000:.1f} instead of {seconds[best] * 1000:.1f} ms a series"
        )
    models = pair if chosen == AVERAGE and pair else (chosen,)
    if len(models) > 1:
        words += f"; mean of {' and '.join(models)}"
    return Champion(cell, models, wape[chosen] if np.isfinite(wape[chosen]) else float("nan"), words)
