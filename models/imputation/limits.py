"""What instruments cannot measure: cells of which only a limit is known, and ends at which values pile up.

Columns of a table are described by a frame with a row for each, in the same order: ``kind`` (``numeric``, ``ordinal``
or ``nominal``), ``scale`` of numeric ones, and ``low`` and ``high``, between which values are possible (NaN if open).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.imputation.priors import CellPrior
from models.imputation.transforms import NumericColumn

#: A value beyond a limit lies within so many standard deviations of the column beyond it, nearly always.
_BEYOND_SD = 1.5
#: Share of values at a bound from which on they are a heap and not the tail.
_PILE_UP = 0.01
#: Bounds that a scale has by itself.
_ENDS = {"log": (0.0, np.inf), "logistic": (0.0, 1.0)}


@dataclass(frozen=True)
class Limited:
    """Cells that lie beyond a limit, which is all that is known of them.

    Attributes
    ----------
    row, column : ndarray of shape (n,)
        Position in the table.
    limit : ndarray of shape (n,)
    below : ndarray of shape (n,), bool
        Whether the value lies below the limit; else above.
    """

    row: NDArray[np.int64]
    column: NDArray[np.int64]
    limit: NDArray[np.float64]
    below: NDArray[np.bool_]

    def take(self, rows: NDArray[np.intp], of: int) -> Self:
        """Cells of some rows of a table of ``of`` rows, at their positions among these."""
        place = np.full(of, -1, dtype=np.int64)
        place[rows] = np.arange(len(rows))
        kept = place[self.row] >= 0
        return type(self)(place[self.row[kept]], self.column[kept], self.limit[kept], self.below[kept])


def limit_priors(values: pd.DataFrame, described: pd.DataFrame, limited: Limited) -> list[CellPrior]:
    """What is known of cells beyond a limit: a range on the column's scale, next to the limit.

    A soft range, as the model has normal priors: :func:`hold_limits` sees that no draw crosses the limit.
    """
    priors: list[CellPrior] = []
    for position in np.unique(limited.column).tolist():
        name, row = values.columns[position], described.iloc[position]
        known = values[name].dropna()
        if row["kind"] != "numeric" or len(known) < 2:
            continue
        fitted = NumericColumn(name, row["scale"]).fit(known)
        spread = float(fitted.to_model(known.to_numpy(dtype=np.float64)).std())
        if not spread > 0:
            continue
        own = limited.column == position
        limits = fitted.to_model(limited.limit[own])
        far = limits + np.where(limited.below[own], -_BEYOND_SD, _BEYOND_SD) * spread
        priors += [
            CellPrior.from_range(place, name, low, high)
            for place, low, high in zip(
                limited.row[own].tolist(),
                np.minimum(far, limits).tolist(),
                np.maximum(far, limits).tolist(),
                strict=True,
            )
        ]
    return priors


def hold_limits(
    values: pd.DataFrame, described: pd.DataFrame, limited: Limited, completed: pd.DataFrame
) -> pd.DataFrame:
    """Put draws that crossed a limit of their cell, or what their column can be, onto it.

    Parameters
    ----------
    values
        Table with the gaps.
    completed
        The same rows without gaps, as far as their columns were imputed.
    """
    held: dict[str, NDArray[np.float64]] = {}
    for position, (name, kind, low, high) in enumerate(
        zip(values.columns, *(described[column] for column in ("kind", "low", "high")), strict=True)
    ):
        if kind == "nominal" or name not in completed.columns:
            continue
        gaps, own = values[name].isna().to_numpy(), limited.column == position
        if not gaps.any() or (np.isnan(low) and np.isnan(high) and not own.any()):
            continue
        drawn = completed[name].to_numpy(dtype=np.float64, copy=True)
        # What was measured stays as it was, even where it contradicts the column's description.
        least, most = (-np.inf if np.isnan(low) else low), (np.inf if np.isnan(high) else high)
        drawn[gaps] = np.clip(drawn[gaps], least, most)
        row, limit = limited.row[own], limited.limit[own]
        drawn[row] = np.where(
            limited.below[own], np.minimum(drawn[row], limit), np.maximum(drawn[row], limit)
        )
        held[name] = drawn
    return completed.assign(**held)


def drawn_within(
    values: pd.DataFrame, described: pd.DataFrame
) -> dict[str | int, tuple[float | None, float | None]]:
    """Bounds within which a model draws.

    Where values pile up at a bound (a varnish that is not used, a saturated sensor), drawing strictly within it
    would never give the most frequent value: such a bound is left to :func:`hold_limits`, which puts what is drawn
    beyond it onto it. The ends of the scales `log` and `logistic` are bounds already.
    """
    found: dict[str | int, tuple[float | None, float | None]] = {}
    for name, kind, scale, low, high in zip(
        values.columns, *(described[column] for column in ("kind", "scale", "low", "high")), strict=True
    ):
        if kind != "numeric":
            continue
        known = values[name].dropna().to_numpy(dtype=np.float64)
        first, last = _ENDS.get(scale, (-np.inf, np.inf))
        bounds = _bound(low, first, known <= low), _bound(high, last, known >= high)
        if bounds != (None, None):
            found[name] = bounds
    return found


def _bound(value: float, end: float, at_it: NDArray[np.bool_]) -> float | None:
    if np.isnan(value) or value == end or (len(at_it) and at_it.mean() > _PILE_UP):
        return None
    return float(value)
