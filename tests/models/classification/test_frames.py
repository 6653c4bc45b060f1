"""Encoding of mixed frames, cell by cell."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models.classification.frames import FrameEncoder

FRAME = pd.DataFrame(
    {"n": [1, 2, 3], "flag": [True, None, False], "word": ["b", "a", None], "empty": [None, None, None]}
)


def test_codes_are_in_the_order_of_the_alphabet_whatever_the_order_of_the_rows():
    expected = [[1, 1, 1, np.nan], [2, np.nan, 0, np.nan], [3, 0, np.nan, np.nan]]
    np.testing.assert_array_equal(FrameEncoder().fit(FRAME).transform(FRAME), expected)
    np.testing.assert_array_equal(FrameEncoder().fit(FRAME.iloc[::-1]).transform(FRAME), expected)


def test_missing_and_unseen_words_are_nan():
    new = FRAME.assign(word=["c", "nan", np.nan])
    assert np.isnan(FrameEncoder().fit(FRAME).transform(new)[:, 2]).all()


def test_one_column_per_category():
    encoder = FrameEncoder(one_hot=True).fit(FRAME)
    assert list(encoder.get_feature_names_out()) == ["n", "flag", "word=a", "word=b", "empty"]
    encoded = encoder.transform(FRAME.assign(word=["b", "c", None]))
    np.testing.assert_array_equal(encoded[:, 2:4], [[0, 1], [0, 0], [0, 0]])


def test_column_without_a_value_when_fitted_stays_without():
    new = FRAME.assign(empty=["suddenly", "words", "here"])
    assert np.isnan(FrameEncoder().fit(FRAME).transform(new)[:, 3]).all()


def test_words_where_numbers_were_are_refused():
    with pytest.raises(TypeError, match="column 'n' must hold numbers or flags as when fitted"):
        FrameEncoder().fit(FRAME).transform(FRAME.assign(n=["x", "y", "z"]))


def test_columns_in_another_order_are_refused():
    with pytest.raises(ValueError, match="feature names"):
        FrameEncoder().fit(FRAME).transform(FRAME[["flag", "n", "word", "empty"]])
