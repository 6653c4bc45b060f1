"""Bins of a variable: made once from reference data, then only counted into.

Keeping bins instead of rows makes the comparison linear in this week's rows and independent of how
long the reference is; nothing about single rows is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

#: Rarer categories share one bin: a hundred near-empty bins only add noise.
_MAX_CATEGORIES = 30


@dataclass(frozen=True)
class Bins:
    """How the values of one variable are grouped.

    Numeric variables have the bins ``(-inf, e0], (e0, e1], ..., (e_last, inf)`` and *missing*;
    categorical ones a bin per category, *other* and *missing*.
    """

    #: Name of the column.
    variable: str
    #: ``"numeric"`` or ``"categorical"``.
    kind: str
    #: Ascending inner edges of a numeric variable.
    edges: tuple[float, ...] = ()
    #: Categories of a categorical one.
    categories: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Number of bins, *missing* included."""
        return len(self.edges if self.kind == "numeric" else self.categories) + 2

    def codes(self, values: pa.ChunkedArray) -> IntArray:
        """Bin of every value, shape (n,); raises ``pyarrow.ArrowInvalid`` if one of a numeric variable is no number."""
        if self.kind == "numeric":
            numbers = _numbers(values)
            codes = np.searchsorted(np.asarray(self.edges), numbers, side="left").astype(np.int64)
            codes[np.isnan(numbers)] = self.size - 1
            return codes
        texts = pc.cast(values, pa.string())
        found = pc.index_in(texts, value_set=pa.array(self.categories, pa.string()))
        codes = np.asarray(pc.fill_null(found, len(self.categories)), dtype=np.int64)
        codes[np.asarray(pc.is_null(texts), dtype=bool)] = self.size - 1
        return codes


def make_bins(variable: str, values: pa.ChunkedArray, *, bins: int = 10) -> Bins:
    """Bins for a variable, from its reference values.

    Numeric: equal-frequency bins, so that every tenth of the reference weighs the same; fewer
    where values repeat (a count that is mostly 0 keeps a bin of its own for 0). Anything else:
    a bin per category, the most frequent ones first.
    """
    if _is_numeric(values.type):
        numbers = _numbers(values)
        numbers = numbers[~np.isnan(numbers)]
        if not numbers.size:
            return Bins(variable, "numeric", edges=())
        # `inverted_cdf` returns values that occur, so ties never fall on both sides of an edge.
        inner = np.quantile(numbers, np.arange(1, bins) / bins, method="inverted_cdf")
        edges = np.unique(inner)
        return Bins(variable, "numeric", edges=tuple(float(edge) for edge in edges[edges < numbers.max()]))
    counted = pc.value_counts(pc.cast(values, pa.string()).drop_null()).to_pylist()
    ordered = sorted(counted, key=lambda item: (-item["counts"], item["values"]))
    return Bins(variable, "categorical", categories=tuple(i["values"] for i in ordered[:_MAX_CATEGORIES]))


def count(codes: IntArray, size: int, groups: IntArray | None = None, n_groups: int = 1) -> IntArray:
    """Rows per group and bin, shape (n_groups, size), from the bin and the group of every row, each of shape (n,).

    Groups lie in ``[0, n_groups)``; all rows are one group if None.
    """
    index = codes if groups is None else groups * size + codes
    return np.bincount(index, minlength=n_groups * size).reshape(n_groups, size).astype(np.int64)


def _is_numeric(dtype: pa.DataType) -> bool:
    return bool(pa.types.is_integer(dtype) or pa.types.is_floating(dtype) or pa.types.is_decimal(dtype))


def _numbers(values: pa.ChunkedArray) -> FloatArray:
    """Values as floats, null as NaN."""
    numbers: FloatArray = pc.cast(values, pa.float64()).to_numpy().astype(np.float64, copy=True)
    return numbers
