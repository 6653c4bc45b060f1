"""Columns in units in which a normal distribution is a fair picture of them, and back.

Only missing cells are ever taken back: what was observed stays what it was, to the last bit.
"""

from __future__ import annotations

from typing import Literal, Self, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtri

Floats = NDArray[np.float64]
Transform = Literal["identity", "log", "sqrt", "logistic", "ordinal", "nominal"]
TRANSFORMS: tuple[Transform, ...] = get_args(Transform)
#: Transforms of numbers, each value by itself: bounds and priors can be given for these.
NUMERIC: tuple[Transform, ...] = ("identity", "log", "sqrt", "logistic")


class NumericColumn:
    """A column of numbers, by itself or as logarithm, root or log odds.

    Parameters
    ----------
    name : str or int
    transform : str
        ``identity``, ``log``, ``sqrt`` or ``logistic``. Zeros of a ``log`` count as half the smallest positive
        value; zeros and ones of a ``logistic`` as half as far from the end as the nearest other value.
    """

    def __init__(self, name: str | int, transform: Transform = "identity") -> None:
        self.name = name
        self.transform = transform

    def fit(self, values: pd.Series) -> Self:
        """Check the range and learn what stands in for its ends.

        Raises
        ------
        ValueError
            An observed value has no logarithm, root or log odds.
        """
        known = _numbers(values)
        known = known[~np.isnan(known)]
        low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
        self.offset_ = 0.0
        if self.transform in ("log", "sqrt") and low < 0:
            raise ValueError(f"column {self.name!r} must not be negative for {self.transform!r}, got {low!r}")
        if self.transform == "logistic" and (low < 0 or high > 1):
            raise ValueError(f"column {self.name!r} must lie in 0..1 for 'logistic', got {low!r} to {high!r}")
        if self.transform == "log" and low == 0 and high > 0:
            self.offset_ = float(known[known > 0].min()) / 2
        if self.transform == "logistic" and (low == 0 or high == 1):
            inner = np.minimum(known, 1 - known)
            self.offset_ = float(inner[inner > 0].min(initial=0.5)) / 2
        self.names_ = [str(self.name)]
        return self

    def encode(self, values: pd.Series) -> Floats:
        """Model units, shape (n, 1); NaN stays NaN."""
        return self.to_model(_numbers(values))[:, None]

    def to_model(self, numbers: Floats) -> Floats:
        """Numbers in model units; what new rows hold beyond the ends counts as the end."""
        if self.transform == "log":
            floor = self.offset_ or np.finfo(float).tiny
            return np.asarray(np.log(np.maximum(numbers, floor)))
        if self.transform == "sqrt":
            return np.asarray(np.sqrt(np.maximum(numbers, 0.0)))
        if self.transform == "logistic":
            end = self.offset_ or 1e-12
            return np.asarray(logit(np.clip(numbers, end, 1 - end)))
        return numbers

    def decode(self, drawn: Floats) -> Floats:
        """Numbers of drawn cells."""
        if self.transform == "log":
            return np.asarray(np.exp(drawn))
        if self.transform == "sqrt":
            return np.asarray(np.square(np.maximum(drawn, 0.0)))
        if self.transform == "logistic":
            return np.asarray(expit(drawn))
        return drawn


class DiscreteColumn:
    """A column of levels: ordered ones as normal scores, unordered ones as indicators of all but the first.

    A level's normal score is the mean of its slice of a standard normal.

    Parameters
    ----------
    name : str or int
    ordered : bool

    Attributes
    ----------
    levels_ : ndarray
        Sorted; those of an ordered categorical in its order.
    share_ : ndarray of shape (levels,)
    scores_ : ndarray of shape (levels, columns)
    """

    def __init__(self, name: str | int, *, ordered: bool) -> None:
        self.name = name
        self.ordered = ordered

    def fit(self, values: pd.Series) -> Self:
        """Learn the levels, how often each is, and their scores."""
        known = values.dropna()
        if isinstance(values.dtype, pd.CategoricalDtype):
            present = set(known)
            levels = [level for level in values.dtype.categories if level in present]
        else:
            levels = sorted(known.unique(), key=None if self.ordered else str)
        self.levels_ = np.array(levels)
        self.share_ = np.array([float((known == level).mean()) for level in levels])
        if self.ordered:
            ends = ndtri(np.concatenate([[0.0], np.cumsum(self.share_)[:-1], [1.0]]))
            density = np.exp(-0.5 * np.square(ends)) / np.sqrt(2 * np.pi)
            self.scores_ = ((density[:-1] - density[1:]) / self.share_)[:, None]
            self.names_ = [str(self.name)]
        else:
            self.scores_ = np.eye(len(levels))[:, 1:]
            self.names_ = [f"{self.name}={level}" for level in levels[1:]]
        return self

    def encode(self, values: pd.Series) -> Floats:
        """Scores, shape (n, columns); NaN where missing or never seen."""
        code = pd.Index(self.levels_).get_indexer(pd.Index(values.to_numpy()))
        return np.asarray(np.where((code >= 0)[:, None], self.scores_[code], np.nan))


Column = NumericColumn | DiscreteColumn


def make_column(name: str | int, transform: Transform) -> Column:
    """The column that a transform asks for."""
    if transform in ("ordinal", "nominal"):
        return DiscreteColumn(name, ordered=transform == "ordinal")
    return NumericColumn(name, transform)


def _numbers(values: pd.Series) -> Floats:
    numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    if np.isinf(numbers).any():
        raise ValueError(f"column {values.name!r} must be finite or missing, got infinity")
    return numbers
