"""Draws of missing cells from their conditional normals, within bounds."""

from __future__ import annotations

from concurrent.futures import Executor

import numpy as np
from numpy.typing import NDArray

from models.imputation.em import Incomplete, Moments
from models.imputation.kernels import draw

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def conditional_means(data: Incomplete, moments: Moments, *, pool: Executor | None = None) -> Floats:
    """What is expected of each missing cell, row by row as in the table."""
    out = np.empty(data.patterns.cells)
    _draw(data, moments, np.zeros(len(data.patterns.order), dtype=np.int64), np.empty(0), out, pool)
    return out


def conditional_draws(
    data: Incomplete,
    moments: Moments,
    rng: np.random.Generator,
    *,
    bounds: tuple[Floats, Floats] | None = None,
    cells_columns: Ints | None = None,
    max_resample: int = 100,
    pool: Executor | None = None,
) -> tuple[Floats, int]:
    """Draw every missing cell once.

    Parameters
    ----------
    data, moments
        The table and the parameters, standardised.
    rng : Generator
    bounds : pair of ndarray of shape (cells,), optional
        Lowest and highest value of each missing cell, infinite where there is none. A row with a cell outside is
        drawn again as a whole, so that what is kept are draws of the normal within the bounds.
    max_resample : int
        How often; cells that are still outside are then set to the bound.

    Returns
    -------
    values : ndarray of shape (cells,)
        Row by row as in the table.
    clipped : int
        Cells that had to be set to a bound.
    """
    cells = data.patterns.cells
    out = np.empty(cells)
    _draw(data, moments, data.patterns.cell, rng.standard_normal(cells), out, pool)
    if bounds is None or not cells:
        return out, 0
    low, high = bounds
    width = _row_widths(data)
    row_of_cell = np.empty(cells, dtype=np.int64)
    row_of_cell[_spread(data.patterns.cell, width)] = np.repeat(np.arange(len(width)), width)
    for _ in range(max_resample):
        outside = (out < low) | (out > high)
        if not outside.any():
            return out, 0
        rows = np.unique(row_of_cell[outside])
        noise_start = np.full(len(width), -1, dtype=np.int64)
        noise_start[rows] = np.cumsum(width[rows]) - width[rows]
        _draw(data, moments, noise_start, rng.standard_normal(int(width[rows].sum())), out, pool)
    outside = (out < low) | (out > high)
    return np.clip(out, low, high), int(outside.sum())


def _row_widths(data: Incomplete) -> Ints:
    """Missing cells of each row, in the order of the patterns."""
    found = data.patterns
    return np.repeat(np.diff(found.column_start), np.diff(found.start))


def _spread(first: Ints, width: Ints) -> Ints:
    """Positions of all cells of rows that start at ``first``."""
    within = np.arange(int(width.sum())) - np.repeat(np.cumsum(width) - width, width)
    return np.repeat(first, width) + within


def _draw(
    data: Incomplete, moments: Moments, noise_start: Ints, noise: Floats, out: Floats, pool: Executor | None
) -> None:
    found = data.patterns
    arguments = data.arguments()

    def block(b: int) -> None:
        draw(
            data.filled, moments.mean, moments.precision, *arguments,
            found.blocks[b], found.blocks[b + 1], found.cell, noise_start, noise, out,
        )  # fmt: skip

    for _ in (map if pool is None else pool.map)(block, range(len(found.blocks) - 1)):
        pass
