"""Folds of customers: all rows of a customer are in one of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

#: On fewer rows a further thread waits more than it works.
ROWS_PER_THREAD = 20_000


def group_folds(groups: Any, n_folds: int, seed: int = 0) -> Iterator[NDArray[np.bool_]]:
    """Rows held out in each fold, as masks of shape (n,); folds without rows are left out.

    Parameters
    ----------
    groups : array-like of shape (n,)
        What a row belongs to. Numbered in order of appearance, then dealt out at random.
    """
    numbers, names = pd.factorize(pd.Series(groups))
    fold = np.random.default_rng(seed).permutation(len(names)) % n_folds
    own = fold[numbers]
    for k in range(n_folds):
        held = own == k
        if held.any() and not held.all():
            yield held
