"""What is known of single missing cells before the data are looked at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class CellPrior:
    """A normal prior of one missing cell, in the units of the model: after the column's transformation.

    Attributes
    ----------
    row : int
        Position of the row in the table, from 0.
    column : str or int
        Name of the column, or its position in an array.
    mean, sd : float
        What is expected of the cell, and how surely; the data say the rest.
    """

    row: int
    column: str | int
    mean: float
    sd: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and math.isfinite(self.sd) and self.sd > 0):
            raise ValueError(
                f"a cell prior needs a finite mean and a positive sd, got mean={self.mean!r}, sd={self.sd!r} "
                f"for row {self.row}, column {self.column!r}"
            )

    @classmethod
    def from_range(
        cls, row: int, column: str | int, low: float, high: float, *, confidence: float = 0.95
    ) -> Self:
        """The prior that puts the cell between two values with a given confidence."""
        if not (low < high and 0 < confidence < 1):
            raise ValueError(
                f"a range needs low < high and a confidence in (0, 1), got {low!r}, {high!r}, {confidence!r}"
            )
        width = NormalDist().inv_cdf(0.5 + confidence / 2)
        return cls(row, column, (low + high) / 2, (high - low) / (2 * width))


@dataclass(frozen=True)
class PriorTable:
    """Priors of a model matrix: rows that have any, with the precision and the mean of each cell.

    Attributes
    ----------
    row : ndarray of int, shape (n,)
        -1, or which row of the two tables holds the row's priors.
    precision, mean : ndarray of shape (n_rows_with_priors, p)
        Zero where a cell has no prior.
    """

    row: NDArray[np.int64]
    precision: NDArray[np.float64]
    mean: NDArray[np.float64]

    @classmethod
    def build(
        cls,
        priors: Sequence[CellPrior],
        columns: Sequence[str | int | None],
        missing: NDArray[np.bool_],
        center: NDArray[np.float64],
        scale: NDArray[np.float64],
    ) -> Self:
        """Put priors into the standardised units of a model matrix, whose numeric columns are named.

        Raises
        ------
        ValueError
            A prior names a row that is not there, or a column that is not in the model; a prior of an observed
            cell, which is never changed.
        """
        n, p = missing.shape
        position = {column: i for i, column in enumerate(columns)}
        row = np.full(n, -1, dtype=np.int64)
        for prior in priors:
            if not 0 <= prior.row < n:
                raise ValueError(f"a prior must name a row in 0..{n - 1}, got {prior.row}")
            if prior.column not in position:
                raise ValueError(
                    f"a prior must name a numeric column of the model, got {prior.column!r}: see the preflight"
                )
            if not missing[prior.row, position[prior.column]]:
                raise ValueError(
                    f"a prior must name a missing cell: row {prior.row}, column {prior.column!r} is observed"
                )
        rows = sorted({prior.row for prior in priors})
        row[rows] = np.arange(len(rows))
        precision, mean = np.zeros((len(rows), p)), np.zeros((len(rows), p))
        for prior in priors:
            i, j = row[prior.row], position[prior.column]
            if precision[i, j]:
                raise ValueError(f"row {prior.row}, column {prior.column!r} has two priors: give one")
            precision[i, j] = (scale[j] / prior.sd) ** 2
            mean[i, j] = (prior.mean - center[j]) / scale[j]
        return cls(row, precision, mean)

    def take(self, rows: NDArray[np.intp]) -> PriorTable:
        """The priors of some of the rows."""
        return PriorTable(self.row[rows], self.precision, self.mean)
