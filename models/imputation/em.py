"""EM for the mean and covariance of a normal table with missing cells.

Complete rows, and what is observed of the others, enter through sums that are taken once; an iteration visits
incomplete rows only, and adds what is expected of their missing cells.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from models.imputation.kernels import expect
from models.imputation.patterns import Patterns
from models.imputation.priors import PriorTable

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
#: Order, starts, columns, their starts, and priors of patterns; precision and mean of priors.
KernelArguments = tuple[Ints, Ints, Ints, Ints, Ints, Floats, Floats]

#: Rows whose products are summed at once: bounds the memory of a weighted copy.
CHUNK = 65_536
#: Columns observed in fewer rows may vanish from a resample.
RARE = 100
#: First automatic ridge, in rows per row, and by how much it grows.
FIRST_RIDGE, RIDGE_STEP = 1e-9, 10.0
#: Condition number from which the columns of the flat directions are named, and how still the flattest must be:
#: a covariance that is on its way to a singular one moves ever less, but by the same factor.
FLAT, STILL = 1e6, 0.01
#: Share of a column's length in a nearly flat direction from which it is named.
LOADING = 0.1


@dataclass(frozen=True)
class Incomplete:
    """A standardised table ready for EM and draws.

    Attributes
    ----------
    filled : ndarray of shape (n, p)
        Observed values, zero where missing.
    missing : ndarray of bool, shape (n, p)
    patterns : Patterns
    priors : PriorTable or None
    observed_rows : ndarray of bool, shape (n,)
        Rows with anything observed; the others say nothing of the parameters.
    rare_rows : sparse matrix of shape (k, n)
        The rows in which each of the rarely observed columns is: a resample must not lose them all.
    """

    filled: Floats
    missing: NDArray[np.bool_]
    patterns: Patterns
    priors: PriorTable | None
    observed_rows: NDArray[np.bool_]
    rare_rows: sparse.csr_matrix

    @classmethod
    def of(cls, values: Floats, priors: PriorTable | None = None) -> Self:
        """Take a standardised matrix with NaN where missing; it is overwritten."""
        missing = np.isnan(values)
        patterns = Patterns.of(missing, priors)
        observed_rows: NDArray[np.bool_] = ~np.all(missing, axis=1)
        rare = np.flatnonzero((~missing).sum(axis=0) < RARE)
        rare_rows = sparse.csr_matrix(~missing[:, rare].T, dtype=np.int64)
        values[missing] = 0.0
        return cls(values, missing, patterns, priors, observed_rows, rare_rows)

    def columns_of_cells(self) -> NDArray[np.intp]:
        """Column of every missing cell, row by row."""
        return np.broadcast_to(np.arange(self.missing.shape[1]), self.missing.shape)[self.missing]

    def arguments(self) -> KernelArguments:
        """What the kernels are given of the patterns and priors."""
        found = self.patterns
        p = self.filled.shape[1]
        none = np.zeros((0, p))
        precision, mean = (none, none) if self.priors is None else (self.priors.precision, self.priors.mean)
        return found.order, found.start, found.columns, found.column_start, found.prior, precision, mean


@dataclass(frozen=True)
class EMOptions:
    """How EM runs.

    Attributes
    ----------
    ridge : float
        Prior rows per row of data, of unit variance and without correlation.
    ridge_cap : float
        Largest ridge that is taken automatically where the covariance is all but singular.
    tolerance : float
        How near to the limit every mean and covariance must be, in standard deviations of the columns.
    max_iter : int
    max_seconds : float or None
        Caps of one chain.
    max_condition : float
        Condition number of the covariance from which the ridge is raised.
    """

    ridge: float = 0.0
    ridge_cap: float = 0.05
    tolerance: float = 1e-4
    max_iter: int = 500
    max_seconds: float | None = None
    max_condition: float = 1e10


@dataclass(frozen=True)
class Convergence:
    """How a chain ended.

    Attributes
    ----------
    converged : bool
    stopped_by : str
        ``converged``, ``max_iter`` or ``max_seconds``.
    iterations : int
    change : float
        Largest change of a mean or covariance in the last iteration, in standard deviations.
    condition : float
        Condition number of the covariance at the end, ridge included.
    ridge : float
        Prior rows per row of data at the end; more than what was asked for if it had to be raised.
    ridge_raised : bool
    flat_columns : list of str
        Columns of the directions in which the covariance is all but flat; empty if it is well conditioned.
    seconds : float
    path : list of float
        The change of every iteration.
    """

    converged: bool
    stopped_by: str
    iterations: int
    change: float
    condition: float
    ridge: float
    ridge_raised: bool
    flat_columns: list[str]
    seconds: float
    path: list[float] = field(default_factory=list)

    @property
    def words(self) -> str:
        """One line for people."""
        end = "converged" if self.converged else f"NOT converged ({self.stopped_by})"
        ridge = f", ridge raised to {self.ridge:.2g} of the rows" if self.ridge_raised else ""
        flat = f"; all but collinear: {', '.join(self.flat_columns)}" if self.flat_columns else ""
        return f"{end} after {self.iterations} iterations, condition number {self.condition:.2g}{ridge}{flat}"


@dataclass(frozen=True)
class Moments:
    """Mean and covariance, and the precision that goes with it.

    Attributes
    ----------
    mean : ndarray of shape (p,)
    covariance, precision : ndarray of shape (p, p)
    """

    mean: Floats
    covariance: Floats
    precision: Floats

    @classmethod
    def of(cls, mean: Floats, covariance: Floats, *, max_condition: float = 1e14) -> Self:
        """Invert a covariance; directions flatter than ``max_condition`` allows are held at that."""
        values, vectors = np.linalg.eigh(covariance)
        held = np.maximum(values, values[-1] / max_condition)
        return cls(mean, covariance, np.ascontiguousarray((vectors / held) @ vectors.T))

    @classmethod
    def start(cls, p: int) -> Self:
        """No correlation, unit variance."""
        return cls(np.zeros(p), np.eye(p), np.eye(p))


@contextmanager
def workers(n_jobs: int, patterns: Patterns) -> Iterator[Executor | None]:
    """Threads for the blocks of a table; None where one does, and starting more would take longer."""
    if n_jobs == 1 or len(patterns.blocks) <= 2:
        yield None
    else:
        with ThreadPoolExecutor(n_jobs) as pool:
            yield pool


def run_em(
    data: Incomplete,
    weight: Floats,
    start: Moments,
    options: EMOptions,
    *,
    pool: Executor | None = None,
    names: Sequence[str] = (),
    watch: Callable[[Moments], object] | None = None,
) -> tuple[Moments, Convergence]:
    """Most likely mean and covariance of weighted rows.

    Parameters
    ----------
    data : Incomplete
    weight : ndarray of shape (n,)
        How often each row counts; a bootstrap's counts, or ones.
    start : Moments
    options : EMOptions
    pool : Executor, optional
        Threads that share the blocks of rows. The result does not depend on how many there are.
    names : sequence of str, optional
        Columns, for the report.
    watch : callable, optional
        Called with the start and with the parameters after each iteration.
    """
    began = time.perf_counter()
    weight = np.where(data.observed_rows, weight, 0.0)
    rows = float(weight.sum())
    fixed_sums, fixed_products = _observed_sums(data.filled, weight)
    moments, ridge, path = start, options.ridge, []
    stopped_by, rate = "max_iter", 0.0
    values = np.zeros(1)
    if watch is not None:
        watch(start)
    for _ in range(options.max_iter):
        sums, products = _expected_sums(data, weight, moments, pool)
        mean = (fixed_sums + sums) / rows
        covariance = (fixed_products + products + products.T) / rows - np.outer(mean, mean)
        flattest = values[0]
        ridge, values, vectors, covariance = _ridged(covariance, ridge, options)
        still = abs(values[0] - flattest) <= STILL * values[0]
        held = np.maximum(values, values[-1] / options.max_condition)
        change = max(
            float(np.abs(mean - moments.mean).max()), float(np.abs(covariance - moments.covariance).max())
        )
        moments = Moments(mean, covariance, np.ascontiguousarray((vectors / held) @ vectors.T))
        if watch is not None:
            watch(moments)
        path.append(change)
        if len(path) > 1 and path[-2] > 0:
            rate = min(change / path[-2], 0.999)
        # What is left is the sum of a geometric series whose rate the last two steps tell.
        if still and change * max(1.0, rate / (1 - rate)) < options.tolerance:
            stopped_by = "converged"
            break
        if options.max_seconds is not None and time.perf_counter() - began > options.max_seconds:
            stopped_by = "max_seconds"
            break
    raised = ridge > options.ridge
    return moments, Convergence(
        converged=stopped_by == "converged",
        stopped_by=stopped_by,
        iterations=len(path),
        change=path[-1],
        condition=float(values[-1] / max(values[0], np.finfo(float).tiny)),
        ridge=ridge,
        ridge_raised=raised,
        flat_columns=_flat_columns(values, vectors, names),
        seconds=time.perf_counter() - began,
        path=path,
    )


def _observed_sums(filled: Floats, weight: Floats) -> tuple[Floats, Floats]:
    products = np.zeros((filled.shape[1], filled.shape[1]))
    for first in range(0, len(filled), CHUNK):
        part = filled[first : first + CHUNK]
        products += (part * weight[first : first + CHUNK, None]).T @ part
    return weight @ filled, products


def _expected_sums(
    data: Incomplete, weight: Floats, moments: Moments, pool: Executor | None
) -> tuple[Floats, Floats]:
    """Sums over blocks, always added in the same order."""
    p = data.filled.shape[1]
    blocks = data.patterns.blocks
    arguments = data.arguments()

    def block(b: int) -> tuple[Floats, Floats]:
        sums, products = np.zeros(p), np.zeros((p, p))
        expect(
            data.filled, weight, moments.mean, moments.precision, *arguments, blocks[b], blocks[b + 1], sums, products
        )  # fmt: skip
        return sums, products

    sums, products = np.zeros(p), np.zeros((p, p))
    for part in (map if pool is None else pool.map)(block, range(len(blocks) - 1)):
        sums += part[0]
        products += part[1]
    return sums, products


def _ridged(covariance: Floats, ridge: float, options: EMOptions) -> tuple[float, Floats, Floats, Floats]:
    """Covariance with the ridge, raised until it can be inverted safely or the cap is reached."""
    values, vectors = np.linalg.eigh(covariance)
    while True:
        shrunk = (values + ridge) / (1 + ridge)
        if shrunk[0] * options.max_condition >= shrunk[-1] or ridge >= options.ridge_cap:
            break
        ridge = min(max(ridge * RIDGE_STEP, FIRST_RIDGE), options.ridge_cap)
    if ridge:
        covariance = covariance / (1 + ridge)
        covariance[np.diag_indices_from(covariance)] += ridge / (1 + ridge)
    return ridge, shrunk, vectors, covariance


def _flat_columns(values: Floats, vectors: Floats, names: Sequence[str]) -> list[str]:
    """Columns of the directions in which there is hardly anything, or nothing but the ridge."""
    flat = values <= values[-1] / FLAT
    involved = np.abs(vectors[:, flat]).max(axis=1, initial=0.0) > LOADING
    known = names if len(names) == len(values) else [str(i) for i in range(len(values))]
    return [str(known[int(i)]) for i in np.flatnonzero(involved)]
