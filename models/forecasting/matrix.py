"""From a large frame of features to the float32 matrix that boosting wants; words become codes."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data


class FeatureMatrix(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Encode frames with millions of rows, remembering the words seen when fitted.

    Columns of categories or strings become codes, NaN for a word that is missing or was never seen; all
    others become float32. The pass over the words is per category, not per row.

    Attributes
    ----------
    words_ : dict of int to list of str
        Sorted words by position of the column.
    """

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn which columns hold words, and which words."""
        self.words_: dict[int, list[str]] = {}
        if not isinstance(X, pd.DataFrame):
            validate_data(self, X, dtype="numeric", ensure_all_finite="allow-nan")
            return self
        validate_data(self, X, skip_check_array=True)
        for position in range(X.shape[1]):
            column = X.iloc[:, position]
            if _holds_words(column):
                used = pd.Categorical(column).remove_unused_categories().categories
                self.words_[position] = sorted(str(word) for word in used)
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Encode ``X``.

        Raises
        ------
        ValueError
            A number is infinite, or the columns are not those it was fitted on.
        """
        check_is_fitted(self, "words_")
        if not isinstance(X, pd.DataFrame):
            checked = validate_data(self, X, reset=False, dtype="numeric", ensure_all_finite="allow-nan")
            return np.asarray(checked, dtype=np.float32)
        validate_data(self, X, reset=False, skip_check_array=True)
        out = np.empty(X.shape, dtype=np.float32)
        for position in range(X.shape[1]):
            column = X.iloc[:, position]
            if position in self.words_:
                out[:, position] = _codes(column, self.words_[position])
            else:
                out[:, position] = column.to_numpy(dtype=np.float32, na_value=np.nan)
        infinite = [str(name) for i, name in enumerate(X.columns) if np.isinf(out[:, i]).any()]
        if infinite:
            raise ValueError(f"numbers must be finite or missing, got infinity; offending: {infinite[:5]}")
        return out

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def _holds_words(column: pd.Series) -> bool:
    return isinstance(column.dtype, pd.CategoricalDtype) or not (
        pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)
    )


def _codes(column: pd.Series, words: list[str]) -> NDArray[np.float32]:
    values = pd.Categorical(column)
    # One entry per category, and one for what is missing, which has the code -1.
    known = {word: code for code, word in enumerate(words)}
    table = [known.get(str(word), np.nan) for word in values.categories] + [np.nan]
    codes: NDArray[np.float32] = np.asarray(table, dtype=np.float32)[values.codes]
    return codes
