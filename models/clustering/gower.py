"""Gower's distance between rows of mixed variables with missing values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from models.clustering import kernel
from models.clustering.encoding import Encoder
from models.clustering.kinds import SCALED, Kind, check_kinds, check_weights, infer_kinds

Floats = NDArray[np.float64]

#: Rows of a block: large enough that threads pay, small enough that blocks are even.
CHUNK_ROWS = 256
#: Rows that a row is compared with at a time: their sums and a column's values fit the processor's cache.
TILE = 1024


class GowerSpace(BaseEstimator):  # type: ignore[misc]
    """Distances of Gower (1971), as R's ``cluster::daisy`` computes them.

    The distance of two rows is the weighted mean, over the variables that are known for both, of: the
    difference as a share of the range (numeric, and ordinal by level numbers), 0 for the same category and 1
    for another (nominal, binary). Variables that are *asymmetric* are left out for rows that both say no.

    Parameters
    ----------
    kinds : mapping of str to Kind, optional
        Of every column; inferred from the types if not given.
    weights : mapping of str to float, optional
        Of columns; 1 for those not named.
    dtype : {"float64", "float32"}
        Of the distances; sums are always taken in double precision.
    chunk_rows : int, optional
        Rows that a thread takes at a time.
    n_jobs : int
        Threads.

    Attributes
    ----------
    kinds_, weights_ : dict
    center_, range_ : ndarray of shape (columns,)
        Smallest value and range of scaled columns; 0 and 1 for others and for constant ones.
    constant_, empty_ : list of str
        Columns with one value, which make all rows more alike (as in daisy), and without any, which have no effect.

    Notes
    -----
    Time is O(rows x rows x columns); memory is the result and nothing else of its size. A pair of rows
    that share no known variable has distance NaN. New rows may lie outside of the fitted range and then be
    more than 1 apart. The first call in a process compiles or loads the loop (about a second).

    References
    ----------
    Gower (1971), "A general coefficient of similarity and some of its properties", Biometrics 27, 857-871.
    """

    def __init__(
        self,
        kinds: Mapping[str, str] | None = None,
        weights: Mapping[str, float] | None = None,
        dtype: str = "float64",
        chunk_rows: int | None = None,
        n_jobs: int = 1,
    ) -> None:
        self.kinds = kinds
        self.weights = weights
        self.dtype = dtype
        self.chunk_rows = chunk_rows
        self.n_jobs = n_jobs

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:
        """Learn ranges and categories.

        Raises
        ------
        ValueError
            ``dtype``, a kind or a weight is not allowed, a column holds what its kind does not allow.
        """
        if self.dtype not in ("float64", "float32"):
            raise ValueError(f"dtype must be float64 or float32, got {self.dtype!r}")
        if self.chunk_rows is not None and self.chunk_rows < 1:
            raise ValueError(f"chunk_rows must be at least 1, got {self.chunk_rows}")
        kinds = infer_kinds(X) if self.kinds is None else check_kinds(self.kinds, X)
        self.weights_ = check_weights(self.weights, list(kinds))
        self.encoder_ = Encoder().fit(X, kinds)
        values = self.encoder_.transform(X)
        known = ~np.isnan(values)
        low = np.where(known, values, np.inf).min(axis=1, initial=np.inf)
        high = np.where(known, values, -np.inf).max(axis=1, initial=-np.inf)
        some: NDArray[np.bool_] = np.asarray(known.any(axis=1))
        self.empty_ = [name for name, any_ in zip(kinds, some, strict=True) if not any_]
        self.constant_ = [name for name, same in zip(kinds, some & (low == high), strict=True) if same]
        scaled = np.array([kind in SCALED for kind in kinds.values()])
        self.center_ = np.where(scaled & some, low, 0.0)
        self.range_ = np.where(scaled & some & (high > low), high - self.center_, 1.0)
        return self

    def decode(self, values: Floats) -> Floats:
        """Encoded values in the units of the columns; codes of categories stay codes."""
        return np.asarray(values * self.range_[:, None] + self.center_[:, None])

    @property
    def kinds_(self) -> dict[str, Kind]:
        """Kind of each column."""
        return {name: Kind(kind) for name, kind in self.encoder_.kinds_.items()}

    def encode(self, X: pd.DataFrame) -> Floats:
        """Values as the kernel compares them, shape (columns, rows): scaled to the range, or codes."""
        check_is_fitted(self, "range_")
        return np.ascontiguousarray(
            (self.encoder_.transform(X) - self.center_[:, None]) / self.range_[:, None]
        )

    def pairwise(self, X: pd.DataFrame, Y: pd.DataFrame | None = None) -> NDArray[Any]:
        """Distances of the rows of ``X`` from each other, or from those of ``Y``.

        Returns
        -------
        ndarray of shape (rows of X, rows of Y), of ``dtype``
            NaN for pairs that share no known variable; 0 between a row and itself.
        """
        left = self.encode(X)
        return self.pairwise_encoded(left, None if Y is None else self.encode(Y))

    def pairwise_encoded(self, left: Floats, right: Floats | None = None) -> NDArray[Any]:
        """As ``pairwise``, of rows already encoded."""
        triangle = right is None
        other = left if right is None else right
        out = np.empty((left.shape[1], other.shape[1]), dtype=self.dtype)
        how, weights = self._how(), np.array(list(self.weights_.values()))
        complete = ~np.isnan(other).any(axis=1)
        blocks = list(self._blocks(left.shape[1]))

        def fill(block: tuple[int, int]) -> None:
            first, last = block
            for start in range(first if triangle else 0, other.shape[1], TILE):
                tile = slice(start, min(start + TILE, other.shape[1]))
                kernel.gower_rows(
                    left, other, how, weights, complete, first, last, tile.start, tile.stop, out
                )
                if triangle:
                    out[tile, first:last] = out[first:last, tile].T

        if self.n_jobs == 1:
            for block in blocks:
                fill(block)
        else:
            with ThreadPoolExecutor(self.n_jobs) as pool:
                list(pool.map(fill, blocks))
        if triangle:
            np.fill_diagonal(out, 0.0)
        return out

    def mean_by_variable(self, left: Floats, right: Floats) -> Floats:
        """Mean distance of encoded rows from other encoded rows on each variable alone, shape (rows, columns).

        NaN where a variable is comparable with none of the others.
        """
        how = self._how()
        out = np.empty((left.shape[1], left.shape[0]))
        for k in range(left.shape[0]):
            for first, last in self._blocks(left.shape[1]):
                out[first:last, k] = _mean_of_pairs(left[k, first:last], right[k], how[k])
        return out

    def _how(self) -> NDArray[np.int64]:
        codes = {Kind.NUMERIC: kernel.SCALED, Kind.ORDINAL: kernel.SCALED}
        codes[Kind.ASYMMETRIC_BINARY] = kernel.PRESENT
        return np.array([codes.get(kind, kernel.MATCHED) for kind in self.kinds_.values()], dtype=np.int64)

    def _blocks(self, rows: int) -> Iterator[tuple[int, int]]:
        size = self.chunk_rows or CHUNK_ROWS
        for first in range(0, rows, size):
            yield first, min(first + size, rows)


def gower_distances(
    X: pd.DataFrame,
    kinds: Mapping[str, str] | None = None,
    *,
    weights: Mapping[str, float] | None = None,
    dtype: str = "float64",
    n_jobs: int = 1,
) -> NDArray[Any]:
    """Gower distances between all rows of ``X``; see `GowerSpace`."""
    return GowerSpace(kinds, weights, dtype, n_jobs=n_jobs).fit(X).pairwise(X)


def _mean_of_pairs(left: Floats, right: Floats, how: int) -> Floats:
    x, y = left[:, None], right[None, :]
    difference = np.abs(x - y)
    known = ~np.isnan(difference)
    if how != kernel.SCALED:
        difference = (difference != 0).astype(np.float64)
    if how == kernel.PRESENT:
        known &= (x != 0) | (y != 0)
    count = known.sum(axis=1)
    total = np.where(known, difference, 0.0).sum(axis=1)
    mean: Floats = np.divide(total, count, out=np.full(len(left), np.nan), where=count > 0)
    return mean
