"""Panels: what the place of a row in time and among units says about its missing cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Polynomials of time beyond the cubic bend where nothing was observed.
MAX_DEGREE = 3


@dataclass(frozen=True)
class Panel:
    """Columns that a panel adds to the model; they help to impute and are not part of the result.

    Attributes
    ----------
    time : str or None
        Column with the time of a row: numbers or dates, never missing.
    unit : str or None
        Column with the unit that is measured again and again, never missing.
    degree : int or None
        Degree of the polynomial of time, 0 to 3; 0 with ``intercepts`` gives each unit a level of its own.
    intercepts : bool
        Whether each unit has its own polynomial rather than all share one.
    lags, leads : sequence of str
        Columns whose value in the row before, or after, of the same unit helps.
    """

    time: str | None = None
    unit: str | None = None
    degree: int | None = None
    intercepts: bool = False
    lags: Sequence[str] = ()
    leads: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.degree is not None and not 0 <= self.degree <= MAX_DEGREE:
            raise ValueError(f"degree must be in 0..{MAX_DEGREE}, got {self.degree!r}")
        if self.intercepts and self.unit is None:
            raise ValueError("intercepts need a unit: name its column")
        needs_time = bool(self.degree) or bool(self.lags) or bool(self.leads)
        if needs_time and self.time is None:
            raise ValueError("polynomials, lags and leads need a time: name its column")


class PanelColumns:
    """The added columns of a panel, learned once and built again for new rows.

    Attributes
    ----------
    names_ : list of str
    units_ : ndarray of str
        Units seen at fit; a row of another unit has no level of its own.
    """

    def __init__(self, panel: Panel) -> None:
        self.panel = panel

    def fit(self, frame: pd.DataFrame) -> Self:
        """Learn the units and the span of time.

        Raises
        ------
        ValueError
            A column is not there, or time or unit are missing in a row.
        """
        panel = self.panel
        for column in (panel.time, panel.unit, *panel.lags, *panel.leads):
            if column is not None and column not in frame.columns:
                raise ValueError(f"the panel names the column {column!r}, which is not in the table")
        self.units_ = np.empty(0, dtype=str) if panel.unit is None else np.unique(_units(frame, panel.unit))
        self.start_, self.span_ = 0.0, 1.0
        if panel.time is not None:
            time = _times(frame, panel.time)
            self.start_ = float(time.min())
            self.span_ = float(np.ptp(time)) or 1.0
        self.names_ = [name for name, _ in self._columns(frame)]
        return self

    def build(self, frame: pd.DataFrame) -> Floats:
        """The added columns of rows, shape (n, added); lags and leads are NaN where there is no neighbour."""
        columns = [values for _, values in self._columns(frame)]
        return np.column_stack(columns) if columns else np.empty((len(frame), 0))

    def _columns(self, frame: pd.DataFrame) -> list[tuple[str, Floats]]:
        panel = self.panel
        out: list[tuple[str, Floats]] = []
        degree = 0 if panel.degree is None else panel.degree
        powers: list[tuple[str, Floats]] = []
        if panel.time is not None and degree:
            # In -1..1: powers of years or of seconds would be all but collinear.
            moment = 2 * (_times(frame, panel.time) - self.start_) / self.span_ - 1
            powers = [(f"time^{k}", moment**k) for k in range(1, degree + 1)]
        if panel.intercepts and panel.unit is not None:
            unit = _units(frame, panel.unit)
            # The first unit's level is the constant: one more would be collinear.
            members = [(name, (unit == name).astype(np.float64)) for name in self.units_]
            out += [(f"unit={name}", member) for name, member in members[1:]]
            out += [(f"unit={name}:{power}", member * at) for name, member in members for power, at in powers]
        else:
            out += powers
        if panel.lags or panel.leads:
            before, after = _neighbours(frame, panel)
            for prefix, neighbour, columns in (("lag", before, panel.lags), ("lead", after, panel.leads)):
                for column in columns:
                    values = frame[column].to_numpy(dtype=np.float64, na_value=np.nan)
                    beside = np.where(neighbour >= 0, values[neighbour], np.nan)
                    out.append((f"{prefix}({column})", beside))
        return out


def _neighbours(frame: pd.DataFrame, panel: Panel) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Position of the row before and after within the unit, by time; -1 where there is none."""
    assert panel.time is not None  # noqa: S101 - checked when the panel was made
    time = _times(frame, panel.time)
    unit = (
        np.zeros(len(frame), dtype=np.intp)
        if panel.unit is None
        else np.unique(_units(frame, panel.unit), return_inverse=True)[1]
    )
    order = np.lexsort((time, unit))
    same = unit[order][1:] == unit[order][:-1]
    before, after = np.full(len(frame), -1, dtype=np.intp), np.full(len(frame), -1, dtype=np.intp)
    before[order[1:][same]] = order[:-1][same]
    after[order[:-1][same]] = order[1:][same]
    return before, after


def _units(frame: pd.DataFrame, column: str) -> NDArray[Any]:
    if frame[column].isna().any():
        raise ValueError(f"the unit of a panel must be known in every row: {column!r} has missing cells")
    return frame[column].astype(str).to_numpy(dtype=str)


def _times(frame: pd.DataFrame, column: str) -> Floats:
    values = frame[column]
    if values.isna().any():
        raise ValueError(f"the time of a panel must be known in every row: {column!r} has missing cells")
    if pd.api.types.is_numeric_dtype(values):
        return values.to_numpy(dtype=np.float64)
    # Dates, and words that are dates: days since 1970.
    moments = pd.to_datetime(values, utc=True).dt.tz_localize(None)
    return (moments - pd.Timestamp(0)).to_numpy() / np.timedelta64(1, "D")
