"""The inner loops: conditional normals of incomplete rows, compiled, free of the interpreter's lock.

All is done with the precision matrix K, the inverse of the covariance. Of a row with missing cells M and
observed cells O, the missing ones are normal with precision ``K[M, M]`` and mean
``mu[M] - K[M, M]^-1 K[M, O] (x[O] - mu[O])``: what must be factored has the size of what is missing, which is
mostly little, and a normal prior of a cell is added to the diagonal.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
F = TypeVar("F", bound=Callable[..., None])

#: Sums may be regrouped to use the processor's vectors; NaN and infinities keep their meaning.
_FAST = {"reassoc", "contract", "nsz"}


def _compiled(function: F) -> F:
    compile_: Any = partial(numba.njit, nogil=True, fastmath=_FAST)
    try:
        return cast("F", compile_(cache=True)(function))
    except RuntimeError:  # neither the code's folder nor the user's can be written: compiled in every process
        return cast("F", compile_()(function))


@_compiled
def _factor(a: Floats, q: int) -> None:
    """Cholesky in place, lower; the diagonal is stored inverted. The matrix is positive definite."""
    for j in range(q):
        total = a[j, j]
        for k in range(j):
            total -= a[j, k] * a[j, k]
        inverse = 1.0 / np.sqrt(total)
        a[j, j] = inverse
        for i in range(j + 1, q):
            total = a[i, j]
            for k in range(j):
                total -= a[i, k] * a[j, k]
            a[i, j] = total * inverse


@_compiled
def _invert(a: Floats, inverse: Floats, q: int) -> None:
    """Inverse of the matrix whose factor is ``a``: invert the factor in place, multiply by its transpose."""
    for j in range(q):
        for i in range(j + 1, q):
            total = 0.0
            for k in range(j, i):
                total += a[i, k] * a[k, j]
            a[i, j] = -total * a[i, i]
    for i in range(q):
        for j in range(i + 1):
            total = 0.0
            for k in range(i, q):
                total += a[k, i] * a[k, j]
            inverse[i, j] = total
            inverse[j, i] = total


@_compiled
def _residual(
    filled: Floats, row: int, mu: Floats, precision: Floats, columns: Ints, x: Floats, h: Floats
) -> None:
    """``-K[M, O] (x[O] - mu[O])`` of a row into ``h``."""
    p, q = len(mu), len(columns)
    for k in range(p):
        x[k] = filled[row, k] - mu[k]
    for i in range(q):
        x[columns[i]] = 0.0
    for i in range(q):
        at = precision[columns[i]]
        total = 0.0
        for k in range(p):
            total += at[k] * x[k]
        h[i] = -total


@_compiled
def _load(precision: Floats, columns: Ints, prior_precision: Floats, prior: int, a: Floats) -> None:
    """``K[M, M]`` with the priors' precision on the diagonal, lower triangle, into ``a``."""
    for i in range(len(columns)):
        at = precision[columns[i]]
        for j in range(i + 1):
            a[i, j] = at[columns[j]]
        if prior >= 0:
            a[i, i] += prior_precision[prior, columns[i]]


@_compiled
def expect(
    filled: Floats,
    weight: Floats,
    mu: Floats,
    precision: Floats,
    order: Ints,
    start: Ints,
    all_columns: Ints,
    column_start: Ints,
    priors: Ints,
    prior_precision: Floats,
    prior_mean: Floats,
    first: int,
    last: int,
    sums: Floats,
    products: Floats,
) -> None:
    """E-step of the patterns ``first`` to ``last``: expected sums and products of the missing cells.

    Of the products only rows of missing columns are touched, and what is missing counts half there, so that
    ``products + products.T`` holds each pair once.
    """
    p = len(mu)
    a, inverse = np.empty((p, p)), np.empty((p, p))
    x, h = np.empty(p), np.empty(p)
    for pattern in range(first, last):
        total = 0.0
        for r in range(start[pattern], start[pattern + 1]):
            total += weight[order[r]]
        if total == 0.0:
            continue
        columns = all_columns[column_start[pattern] : column_start[pattern + 1]]
        q, prior = len(columns), priors[pattern]
        _load(precision, columns, prior_precision, prior, a)
        _factor(a, q)
        _invert(a, inverse, q)
        for r in range(start[pattern], start[pattern + 1]):
            row = order[r]
            w = weight[row]
            if w == 0.0:
                continue
            _residual(filled, row, mu, precision, columns, x, h)
            if prior >= 0:
                for i in range(q):
                    c = columns[i]
                    h[i] += prior_precision[prior, c] * (prior_mean[prior, c] - mu[c])
            for k in range(p):
                x[k] = filled[row, k]
            for i in range(q):
                total_i = 0.0
                for j in range(q):
                    total_i += inverse[i, j] * h[j]
                x[columns[i]] = 0.5 * (mu[columns[i]] + total_i)
            for i in range(q):
                c = columns[i]
                scaled = 2.0 * w * x[c]
                sums[c] += scaled
                at = products[c]
                for k in range(p):
                    at[k] += scaled * x[k]
        for i in range(q):
            for j in range(q):
                products[columns[i], columns[j]] += 0.5 * total * inverse[i, j]


@_compiled
def draw(
    filled: Floats,
    mu: Floats,
    precision: Floats,
    order: Ints,
    start: Ints,
    all_columns: Ints,
    column_start: Ints,
    priors: Ints,
    prior_precision: Floats,
    prior_mean: Floats,
    first: int,
    last: int,
    cell: Ints,
    noise_start: Ints,
    noise: Floats,
    out: Floats,
) -> None:
    """Missing cells of the patterns ``first`` to ``last`` from their conditional normals.

    ``noise`` holds standard normals, those of a row from its ``noise_start``; rows with a negative one are left
    alone. Without noise (an empty array) the result is the conditional mean.
    """
    p = len(mu)
    a = np.empty((p, p))
    x, h = np.empty(p), np.empty(p)
    random = len(noise) > 0
    for pattern in range(first, last):
        loaded = False
        columns = all_columns[column_start[pattern] : column_start[pattern + 1]]
        q, prior = len(columns), priors[pattern]
        for r in range(start[pattern], start[pattern + 1]):
            if noise_start[r] < 0:
                continue
            if not loaded:
                _load(precision, columns, prior_precision, prior, a)
                _factor(a, q)
                loaded = True
            _residual(filled, order[r], mu, precision, columns, x, h)
            if prior >= 0:
                for i in range(q):
                    c = columns[i]
                    h[i] += prior_precision[prior, c] * (prior_mean[prior, c] - mu[c])
            for i in range(q):
                total = h[i]
                for k in range(i):
                    total -= a[i, k] * h[k]
                h[i] = total * a[i, i]
            if random:
                for i in range(q):
                    h[i] += noise[noise_start[r] + i]
            for i in range(q - 1, -1, -1):
                total = h[i]
                for k in range(i + 1, q):
                    total -= a[k, i] * h[k]
                h[i] = total * a[i, i]
                out[cell[r] + i] = mu[columns[i]] + h[i]


@_compiled
def block_covariances(
    precision: Floats,
    order: Ints,
    start: Ints,
    all_columns: Ints,
    column_start: Ints,
    priors: Ints,
    prior_precision: Floats,
    prior_mean: Floats,
    block: int,
    out: Floats,
) -> None:
    """Conditional covariance of the columns from ``block`` on, which every row misses, by row."""
    p, width = len(precision), out.shape[1]
    a, inverse = np.empty((p, p)), np.empty((p, p))
    for pattern in range(len(start) - 1):
        columns = all_columns[column_start[pattern] : column_start[pattern + 1]]
        q = len(columns)
        _load(precision, columns, prior_precision, priors[pattern], a)
        _factor(a, q)
        _invert(a, inverse, q)
        at = np.searchsorted(columns, block)
        for r in range(start[pattern], start[pattern + 1]):
            for i in range(width):
                for j in range(width):
                    out[order[r], i, j] = inverse[at + i, at + j]
