"""The outcome of a yes/no classifier, checked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_consistent_length, column_or_1d


def two_classes(y: Any, rows: Any) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Classes of ``y`` in sorted order, and whether each row is of the second one, the event.

    Parameters
    ----------
    y : array-like of shape (n,)
        Outcomes of any sortable type.
    rows : array-like of length n
        What the outcomes belong to.

    Raises
    ------
    ValueError
        ``y`` is missing, has another length than ``rows``, or does not have exactly two classes.
    """
    if y is None:
        raise ValueError("this estimator requires y to be passed, but the target y is None")
    y = column_or_1d(y, warn=True)
    check_consistent_length(rows, y)
    assert_all_finite(y, input_name="y")
    check_classification_targets(y)
    kind = type_of_target(y, input_name="y")
    if kind != "binary":
        raise ValueError(f"Only binary classification is supported. The type of the target is {kind}.")
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) != 2:
        raise ValueError(f"y must have two classes, got {len(classes)} class")
    return classes, np.asarray(codes == 1)
