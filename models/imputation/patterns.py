"""Rows sorted by which of their cells are missing, so that what equal rows share is computed once.

Where each row has a pattern of its own, nothing is shared and nothing is lost: a pattern is then one row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.imputation.priors import PriorTable

Floats = NDArray[np.float64]

#: Most blocks that rows are worked on in, and fewest rows of one. They depend only on the data, so
#: that sums of floats are the same however many threads share the blocks.
MAX_BLOCKS, BLOCK_ROWS = 32, 512


@dataclass(frozen=True)
class Patterns:
    """The incomplete rows of a matrix, by pattern.

    Attributes
    ----------
    order : ndarray of int, shape (r,)
        Positions of the incomplete rows, equal patterns together.
    start : ndarray of int, shape (k + 1,)
        Where each pattern's rows start in ``order``.
    columns : ndarray of int
        The missing columns of all patterns, one pattern after the other.
    column_start : ndarray of int, shape (k + 1,)
        Where each pattern's columns start in ``columns``.
    prior : ndarray of int, shape (k,)
        -1, or the pattern's row in the tables of cell priors; a row with priors is a pattern of its own.
    blocks : ndarray of int, shape (b + 1,)
        Where blocks of patterns start.
    cell : ndarray of int, shape (r,)
        Where each row's cells start in the list of all missing cells, row by row as in the matrix.
    cells : int
        Number of missing cells.
    """

    order: NDArray[np.int64]
    start: NDArray[np.int64]
    columns: NDArray[np.int64]
    column_start: NDArray[np.int64]
    prior: NDArray[np.int64]
    blocks: NDArray[np.int64]
    cell: NDArray[np.int64]
    cells: int

    @classmethod
    def of(cls, missing: NDArray[np.bool_], priors: PriorTable | None = None) -> Self:
        """Find the patterns of a matrix of missing cells, shape (n, p)."""
        counts = missing.sum(axis=1)
        cell = np.cumsum(counts) - counts
        rows = np.flatnonzero(counts)
        keys = _words(missing[rows])
        order = np.lexsort(tuple(keys.T)) if len(rows) else np.empty(0, dtype=np.intp)
        prior_of = np.full(len(rows), -1, dtype=np.int64) if priors is None else priors.row[rows]
        sorted_keys, sorted_prior = keys[order], prior_of[order]
        new = np.ones(len(rows), dtype=bool)
        new[1:] = (sorted_keys[1:] != sorted_keys[:-1]).any(axis=1)
        alone = sorted_prior >= 0
        new |= alone
        new[1:] |= alone[:-1]
        first = np.flatnonzero(new)
        ordered = rows[order]
        masks = missing[ordered[first]]
        width = masks.sum(axis=1)
        return cls(
            order=ordered.astype(np.int64),
            start=np.append(first, len(rows)).astype(np.int64),
            columns=np.nonzero(masks)[1].astype(np.int64),
            column_start=np.concatenate([[0], np.cumsum(width)]).astype(np.int64),
            prior=sorted_prior[first],
            blocks=_blocks(np.append(first, len(rows))),
            cell=cell[ordered].astype(np.int64),
            cells=int(counts.sum()),
        )

    def __len__(self) -> int:
        return len(self.start) - 1


def _words(missing: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Each row's pattern as 64-bit words, to be compared and sorted at once."""
    bits = np.packbits(missing, axis=1)
    bits = np.pad(bits, ((0, 0), (0, -bits.shape[1] % 8)))
    return np.ascontiguousarray(bits).view(np.uint64)


def _blocks(start: NDArray[np.int64]) -> NDArray[np.int64]:
    """Cut patterns into blocks of about equally many rows; a pattern is never cut."""
    rows = int(start[-1])
    n_blocks = max(1, min(MAX_BLOCKS, rows // BLOCK_ROWS))
    wanted = np.linspace(0, rows, n_blocks + 1)
    return np.unique(np.searchsorted(start, wanted)).astype(np.int64)
