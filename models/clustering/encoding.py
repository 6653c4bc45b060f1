"""Mixed columns as one matrix of numbers that the kernel compares."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_bool_dtype, is_numeric_dtype
from sklearn.base import BaseEstimator

from models.clustering.kinds import BINARY, Kind

Floats = NDArray[np.float64]

#: Code of a category that was not there when the encoder was fitted: differs from every known one.
UNSEEN = -1.0


class Encoder(BaseEstimator):  # type: ignore[misc]
    """Columns as rows of numbers: values, level numbers, category codes, 0 and 1; NaN where missing.

    Attributes
    ----------
    levels_ : dict of str to list of str
        Categories of nominal columns, sorted, and levels of ordinal ones that are categoricals.
    """

    def fit(self, X: pd.DataFrame, kinds: dict[str, Kind]) -> Encoder:
        """Learn categories and levels."""
        self.kinds_ = {name: str(kind) for name, kind in kinds.items()}
        self.levels_: dict[str, list[str]] = {}
        for name, kind in kinds.items():
            column = X[name]
            if kind is Kind.NOMINAL:
                self.levels_[name] = sorted(set(as_text(column).dropna()))
            elif kind is Kind.ORDINAL and isinstance(column.dtype, pd.CategoricalDtype):
                if not column.dtype.ordered:
                    raise ValueError(
                        f"ordinal column {name} must be an ordered categorical, its has no order"
                    )
                self.levels_[name] = [str(level) for level in column.dtype.categories]
        return self

    def transform(self, X: pd.DataFrame) -> Floats:
        """Encode rows, shape (columns, rows): each column's values lie side by side.

        Raises
        ------
        ValueError
            A column is absent, or holds what its kind does not allow.
        """
        absent = [name for name in self.kinds_ if name not in X]
        if absent:
            raise ValueError(f"X must have the columns that were fitted, missing: {absent[:5]}")
        out = np.empty((len(self.kinds_), len(X)))
        for row, (name, kind) in enumerate(self.kinds_.items()):
            if name in self.levels_:
                out[row] = self._codes(X[name], name, Kind(kind))
            else:
                out[row] = _numbers(X[name], name, Kind(kind))
        return out

    def _codes(self, column: pd.Series, name: str, kind: Kind) -> Floats:
        text = as_text(column)
        codes = pd.Index(self.levels_[name]).get_indexer(pd.Index(text)).astype(np.float64)
        if kind is Kind.ORDINAL and (codes[text.notna().to_numpy()] < 0).any():
            foreign = sorted(set(text.dropna()) - set(self.levels_[name]))
            raise ValueError(
                f"ordinal column {name} must hold levels {self.levels_[name]}, got {foreign[:5]}"
            )
        return np.where(text.isna().to_numpy(), np.nan, codes)


def as_text(column: pd.Series) -> pd.Series:
    """Categories as text; whole numbers read the same whether stored as integers or, with gaps, as floats."""
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        dtype = dtype.categories.dtype
    if is_numeric_dtype(dtype) and not is_bool_dtype(dtype):
        values = column.astype("Float64").map(lambda value: f"{value:.15g}", na_action="ignore")
    else:
        values = column.astype(object).map(str, na_action="ignore")
    return values.astype(object).where(column.notna(), np.nan)


def _numbers(column: pd.Series, name: str, kind: Kind) -> Floats:
    try:
        values = column.astype(object).where(column.notna(), np.nan).to_numpy(dtype=np.float64)
    except (TypeError, ValueError) as error:
        hint = "; make it an ordered categorical" if kind is Kind.ORDINAL else ""
        example = next(iter(column.dropna().astype(str)), "")
        raise ValueError(f"{kind} column {name} must hold numbers, got {example!r}{hint}") from error
    if np.isinf(values).any():
        raise ValueError(f"{kind} column {name} must be finite or missing, got infinity")
    if kind in BINARY:
        foreign = np.unique(values[~np.isnan(values) & (values != 0) & (values != 1)])
        if len(foreign):
            raise ValueError(f"{kind} column {name} must hold 0, 1 or nothing, got {foreign[:5].tolist()}")
    return values
