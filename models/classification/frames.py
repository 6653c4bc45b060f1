"""From a table with numbers, flags and words to the matrix a learner wants."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

_NUMERIC = frozenset({"integer", "floating", "decimal", "mixed-integer-float", "boolean"})
_WORDS = frozenset({"string", "categorical"})


class FrameEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Encode a mixed DataFrame as a float matrix, remembering the categories seen when fitted.

    Numbers and flags become floats, missing ones NaN. Words become either the code of the category
    (``one_hot=False``; NaN if missing or never seen) or one 0/1 column per category
    (``one_hot=True``; all 0 if missing or never seen). A column without any value when fitted is
    kept as NaN, so that the width of the matrix depends on the frame's columns only.

    Parameters
    ----------
    one_hot : bool, default False
        Codes for learners that know categories, columns for those that do not.

    Attributes
    ----------
    categories_ : dict[int, ndarray]
        Sorted categories by position of the column in the frame.
    empty_ : tuple of int
        Positions of the columns without any value when fitted.
    """

    def __init__(self, *, one_hot: bool = False) -> None:
        self.one_hot = one_hot

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn which columns hold words, and which words.

        Raises
        ------
        TypeError
            A column holds neither numbers, flags nor words (dates, lists, mixtures).
        ValueError
            A number is infinite.
        """
        self.categories_: dict[int, NDArray[Any]] = {}
        self.empty_: tuple[int, ...] = ()
        if not isinstance(X, pd.DataFrame):
            validate_data(self, X, dtype="numeric", ensure_all_finite="allow-nan")
            return self
        validate_data(self, X, skip_check_array=True)
        kinds = [_kind(X.iloc[:, i]) for i in range(X.shape[1])]
        bad = {str(X.columns[i]): kind for i, kind in enumerate(kinds) if kind == "other"}
        if bad:
            raise TypeError(
                "columns must hold numbers, flags or words, got others; "
                f"offending: {list(bad)[:5]} of {X.shape[1]}"
            )
        self.empty_ = tuple(i for i, kind in enumerate(kinds) if kind is None)
        for i, kind in enumerate(kinds):
            if kind == "words":
                # Sorted by text, so that codes do not depend on the order of the rows.
                seen = X.iloc[:, i].dropna().astype(str).unique()
                self.categories_[i] = np.sort(np.asarray(seen, dtype=object))
        _refuse_infinite(X, self._codes(X))
        return self

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Encode ``X``.

        Returns
        -------
        ndarray of shape (n_rows, n_encoded)
            Columns in the order of the frame; with ``one_hot`` a column of words is replaced in
            place by one column per category.
        """
        check_is_fitted(self, "categories_")
        if isinstance(X, pd.DataFrame):
            validate_data(self, X, reset=False, skip_check_array=True)
            codes = self._codes(X)
            _refuse_infinite(X, codes)
        else:
            checked = validate_data(self, X, reset=False, dtype="numeric", ensure_all_finite="allow-nan")
            codes = np.asarray(checked, dtype=np.float64)
        if not self.one_hot or not self.categories_:
            return codes
        blocks = []
        for i in range(codes.shape[1]):
            if i in self.categories_:
                blocks.append((codes[:, [i]] == np.arange(len(self.categories_[i]))).astype(np.float64))
            else:
                blocks.append(codes[:, [i]])
        return np.hstack(blocks)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Names of the encoded columns: the column's own, or ``column=category``."""
        check_is_fitted(self, "categories_")
        names = getattr(self, "feature_names_in_", None)
        if names is None:
            names = input_features if input_features is not None else range(self.n_features_in_)
        out: list[str] = []
        for i, name in enumerate(names):
            label = name if isinstance(name, str) else f"x{name}"
            if self.one_hot and i in self.categories_:
                out.extend(f"{label}={category}" for category in self.categories_[i])
            else:
                out.append(label)
        return np.asarray(out, dtype=object)

    def _codes(self, X: pd.DataFrame) -> NDArray[np.float64]:
        codes = np.full(X.shape, np.nan)
        for i in range(X.shape[1]):
            column = X.iloc[:, i]
            if i in self.categories_:
                index = pd.Index(self.categories_[i], dtype=object)
                found = index.get_indexer(pd.Index(column.astype(object).map(str), dtype=object))
                known = (found >= 0) & column.notna().to_numpy()
                codes[known, i] = found[known]
            elif i not in self.empty_:
                codes[:, i] = _numbers(column)
        return codes

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def _kind(column: pd.Series) -> str | None:
    """``numbers``, ``words``, ``other``, or None for a column without any value."""
    if not column.notna().any():
        return None
    if isinstance(column.dtype, pd.CategoricalDtype):
        return "words"
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return "other" if pd.api.types.is_complex_dtype(column) else "numbers"
    inferred = pd.api.types.infer_dtype(column, skipna=True)
    if inferred in _WORDS:
        return "words"
    return "numbers" if inferred in _NUMERIC else "other"


def _numbers(column: pd.Series) -> NDArray[np.float64]:
    if column.dtype == object:
        column = column.where(column.notna(), np.nan)
    try:
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"column {column.name!r} must hold numbers or flags as when fitted, got {column.dtype}: {error}"
        ) from None


def _refuse_infinite(X: pd.DataFrame, codes: NDArray[np.float64]) -> None:
    infinite = np.isinf(codes).any(axis=0)
    if infinite.any():
        names = [str(name) for name in X.columns.to_numpy()[infinite]]
        raise ValueError(f"numbers must be finite or missing, got infinity; offending: {names[:5]}")
