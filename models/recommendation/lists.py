"""Sets of names written as text, ``current account|mortgage``, and the flags that they stand for.

Hundreds of thousands of customers have few different sets: each is taken apart once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

#: Between the names of a set.
BETWEEN = "|"


def names_in(*columns: Any) -> tuple[str, ...]:
    """Names that occur in any of the columns, sorted."""
    sets: set[str] = set()
    for column in columns:
        sets.update(pd.unique(pd.Series(column, dtype=object).dropna()))
    return tuple(sorted({name for text in sets for name in _split(text)}))


def flags_of(column: Any, names: Sequence[str]) -> NDArray[np.bool_]:
    """Which of the names each row's set holds, shape (n, len(names)); other names and nulls count as none."""
    codes, sets = pd.factorize(pd.Series(column, dtype=object))
    place = {name: index for index, name in enumerate(names)}
    flags = np.zeros(
        (len(sets) + 1, len(names)), dtype=np.bool_
    )  # the last row is that of nulls, whose code is -1
    for row, text in enumerate(sets):
        flags[row, [place[name] for name in _split(text) if name in place]] = True
    return np.asarray(flags[codes])


def _split(text: str) -> Iterable[str]:
    return filter(None, text.split(BETWEEN))
