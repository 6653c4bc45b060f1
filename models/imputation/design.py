"""The model matrix of a table: modelled columns in model units, then those of the panel; and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.imputation.panel import Panel, PanelColumns
from models.imputation.preflight import Preflight
from models.imputation.transforms import NUMERIC, Column, DiscreteColumn, NumericColumn, make_column

Floats = NDArray[np.float64]
Bounds = Mapping[str | int, tuple[float | None, float | None]]


class Design:
    """Learned columns of a model matrix.

    Attributes
    ----------
    columns_ : list of Column
    start_ : list of int
        First column of the matrix of each.
    names_ : list of str
        Columns of the matrix.
    owner_ : list of str, int or None
        Column of the table behind each; None for those of the panel.
    constants_ : dict
        Value of the constant columns.
    center_, scale_ : ndarray of shape (p,)
    """

    def fit(self, frame: pd.DataFrame, preflight: Preflight, panel: Panel | None) -> Self:
        """Learn the columns that the preflight lets pass."""
        self.columns_: list[Column] = []
        self.start_: list[int] = []
        self.names_: list[str] = []
        self.owner_: list[str | int | None] = []
        self.constants_: dict[str | int, Any] = {}
        for finding in preflight.findings:
            if finding.action == "filled":
                self.constants_[finding.column] = frame[finding.column].dropna().iloc[0]
            if finding.transform is None:
                continue
            column = make_column(finding.column, finding.transform).fit(frame[finding.column])
            self.columns_.append(column)
            self.start_.append(len(self.names_))
            self.names_ += column.names_
            self.owner_ += [finding.column] * len(column.names_)
        self.whole_ = panel is None and len(self.columns_) == len(preflight.findings)
        self.panel_ = None if panel is None else PanelColumns(panel).fit(frame)
        if self.panel_ is not None:
            self.names_ += self.panel_.names_
            self.owner_ += [None] * len(self.panel_.names_)
        if not self.columns_:
            raise ValueError(
                "at least one column must be fit to be modelled, got none: "
                + "; ".join(f"{one.column!r}: {one.words}" for one in preflight.findings)
            )
        return self

    def encode(self, frame: pd.DataFrame) -> Floats:
        """Model matrix in its own units, NaN where missing."""
        out = np.empty((len(frame), len(self.names_)))
        for column, start in zip(self.columns_, self.start_, strict=True):
            out[:, start : start + len(column.names_)] = column.encode(frame[column.name])
        if self.panel_ is not None and self.panel_.names_:
            out[:, -len(self.panel_.names_) :] = self.panel_.build(frame)
        return out

    def standardise(self, values: Floats, *, learn: bool = False) -> Floats:
        """Centre and scale the columns, in place; ``learn`` takes centre and scale from them first."""
        p = values.shape[1]
        if learn:
            self.center_, self.scale_ = np.zeros(p), np.ones(p)
            for j in range(p):
                known = values[:, j][~np.isnan(values[:, j])]
                if len(known):
                    self.center_[j] = known.mean()
                    self.scale_[j] = known.std() or 1.0
        values -= self.center_
        values /= self.scale_
        return values

    def model_bounds(self, bounds: Bounds) -> tuple[Floats, Floats] | None:
        """Lowest and highest standardised value of each column of the matrix, or None if there is no bound.

        Raises
        ------
        ValueError
            A bound is of a column that is not a number, or the lower one is not below the upper.
        """
        if not bounds:
            return None
        numeric = {column.name: i for column, i in zip(self.columns_, self.start_, strict=True)
                   if isinstance(column, NumericColumn)}  # fmt: skip
        low, high = np.full(len(self.names_), -np.inf), np.full(len(self.names_), np.inf)
        for name, (least, most) in bounds.items():
            if name in self.constants_:
                continue
            if name not in numeric:
                raise ValueError(f"bounds must name modelled columns of {', '.join(NUMERIC)}, got {name!r}")
            if least is not None and most is not None and not least < most:
                raise ValueError(
                    f"a lower bound must be below the upper one, got {least!r}, {most!r} for {name!r}"
                )
            i = numeric[name]
            column = self.columns_[self.start_.index(i)]
            assert isinstance(column, NumericColumn)  # noqa: S101 - for the type checker
            for limit, ends in ((least, low), (most, high)):
                if limit is not None:
                    at = column.to_model(np.array([limit], dtype=np.float64))[0]
                    ends[i] = (at - self.center_[i]) / self.scale_[i]
        return low, high

    def original_units(self, drawn: Floats, column: NDArray[np.intp]) -> Floats:
        """Values of columns in model units, of standardised ones."""
        return drawn * self.scale_[column] + self.center_[column]

    @property
    def numeric(self) -> list[str | int | None]:
        """Column of the table behind each column of the matrix that holds its numbers; None for all others."""
        out: list[str | int | None] = [None] * len(self.names_)
        for column, start in zip(self.columns_, self.start_, strict=True):
            if isinstance(column, NumericColumn):
                out[start] = column.name
        return out

    @property
    def plain(self) -> bool:
        """Whether the model matrix is the table: numbers as they are, all columns modelled, no panel."""
        return self.whole_ and all(
            isinstance(column, NumericColumn) and column.transform == "identity" for column in self.columns_
        )

    @property
    def discrete(self) -> bool:
        """Whether there are levels or categories."""
        return any(isinstance(column, DiscreteColumn) for column in self.columns_)

    def completed(
        self,
        frame: pd.DataFrame,
        missing: NDArray[np.bool_],
        drawn: Floats,
        codes: Mapping[str | int, NDArray[np.intp]],
        bounds: Bounds,
    ) -> pd.DataFrame:
        """The table with its missing cells filled; columns without any are the same objects' values.

        Parameters
        ----------
        missing : ndarray of bool, shape (n, p)
            Cells of the model matrix that ``drawn`` holds.
        drawn : ndarray of shape (cells,)
            Standardised values, row by row.
        codes : mapping
            Drawn levels of the discrete columns, by row.
        """
        out: dict[Any, Any] = {name: frame[name] for name in frame.columns}
        for name, value in self.constants_.items():
            out[name] = frame[name].where(frame[name].notna(), value)
        first = np.cumsum(missing.sum(axis=1)) - missing.sum(axis=1)
        for column, start in zip(self.columns_, self.start_, strict=True):
            gaps = frame[column.name].isna().to_numpy()
            if not gaps.any():
                continue
            rows = np.flatnonzero(gaps)
            values: NDArray[Any]
            if isinstance(column, DiscreteColumn):
                values = column.levels_[codes[column.name][rows]]
            else:
                # Where the cell stands in the row-by-row list: after the row's missing cells to its left.
                at = first[rows] + missing[rows, :start].sum(axis=1)
                values = column.decode(drawn[at] * self.scale_[start] + self.center_[start])
                if column.name in bounds:
                    values = np.clip(values, *bounds[column.name])  # rounding of the way back
            out[column.name] = _filled(frame[column.name], gaps, values)
        return pd.DataFrame(out, index=frame.index, columns=frame.columns, copy=False)


def _filled(before: pd.Series, gaps: NDArray[np.bool_], values: NDArray[Any]) -> pd.Series:
    """Put values into the gaps; whole numbers become floats where the values are."""
    if isinstance(before.dtype, pd.CategoricalDtype) or not pd.api.types.is_numeric_dtype(before):
        cells = before.to_numpy(dtype=object, copy=True)
        cells[gaps] = values
        return pd.Series(cells, index=before.index, dtype=before.dtype)
    numbers = before.to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    numbers[gaps] = values
    return pd.Series(numbers, index=before.index)
