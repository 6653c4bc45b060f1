"""Compiled loop of the Gower distances.

A row is compared with a tile of others variable by variable; the sums fit the processor's cache, and the inner
loops have no branches, so that they are vectorised. Nothing of the size rows x rows x variables, or
rows x rows beside the result, is ever held.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

#: How the kernel compares: distance, alike or not, alike or not but two zeros are skipped.
SCALED, MATCHED, PRESENT = 0, 1, 2


def _compiled(function: Callable[..., None]) -> Callable[..., None]:
    """Compile at the first call and keep the result beside the source; where nothing can be kept, do without."""
    try:
        compiled: Any = numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # no folder that may be written
        compiled = numba.njit(nogil=True)(function)
    return compiled  # type: ignore[no-any-return]


@_compiled
def gower_rows(
    X: NDArray[np.float64],
    Y: NDArray[np.float64],
    how: NDArray[np.int64],
    weights: NDArray[np.float64],
    complete: NDArray[np.bool_],
    first: int,
    last: int,
    start: int,
    stop: int,
    out: NDArray[Any],
) -> None:
    """Distances of rows ``first`` to ``last`` of X from rows ``start`` to ``stop`` of Y, into that part of ``out``.

    ``X`` and ``Y`` have a row per variable; ``complete`` tells which of them miss no value in Y.
    """
    size = stop - start
    total, weight = np.empty(size), np.empty(size)
    for i in range(first, last):
        total[:] = 0.0
        weight[:] = 0.0
        always = 0.0  # weight of variables that are known for every row of Y
        for k in range(X.shape[0]):
            x, w = X[k, i], weights[k]
            y = Y[k, start:stop]
            if np.isnan(x) or w == 0.0:
                continue
            if how[k] == SCALED:
                if complete[k]:
                    always += w
                    for j in range(size):
                        total[j] += w * abs(x - y[j])
                else:
                    for j in range(size):
                        known = y[j] == y[j]
                        total[j] += w * abs(x - y[j]) if known else 0.0
                        weight[j] += w if known else 0.0
            elif how[k] == MATCHED or x != 0.0:
                for j in range(size):
                    known = y[j] == y[j]
                    total[j] += w if known and x != y[j] else 0.0
                    weight[j] += w if known else 0.0
            else:
                for j in range(size):
                    present = y[j] == 1.0
                    total[j] += w if present else 0.0
                    weight[j] += w if present else 0.0
        for j in range(size):
            comparable = weight[j] + always
            out[i, start + j] = total[j] / comparable if comparable > 0.0 else np.nan
