"""What each column of a row adds to its score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from models.classification.boosted import ChurnClassifier

Floats = NDArray[np.float64]


def contributions(model: ChurnClassifier, X: Any) -> Floats:
    """SHAP values of the columns of ``X``, shape (n, n_features), in log-odds before calibration.

    Exact Shapley values by LightGBM's own tree algorithm; of several boosters, the mean (their raw
    scores are averaged, and Shapley values are additive). Calibration multiplies all of them by one
    positive slope, so that neither their order nor their signs change.
    """
    return contributions_and_bias(model, X)[0]


def contributions_and_bias(model: ChurnClassifier, X: Any) -> tuple[Floats, float]:
    """SHAP values and the score they start from.

    Returns
    -------
    contributions : ndarray of shape (n, n_features)
    bias : float
        Mean raw score of the training rows: ``bias + contributions.sum(axis=1)`` is
        ``model.raw_score(X)``; NaN without rows.

    Notes
    -----
    O(n x trees x leaves x depth squared), Lundberg et al. (2020), Nature Machine Intelligence 2,
    algorithm 2.
    """
    check_is_fitted(model, "boosters_")
    matrix = model.encoder_.transform(X)
    if not len(matrix):  # LightGBM divides by the number of rows
        return np.empty(matrix.shape), float("nan")
    total = np.zeros((len(matrix), matrix.shape[1] + 1))
    for booster in model.boosters_:
        total += booster.predict(matrix, pred_contrib=True, num_threads=model.n_jobs or 1)
    total /= len(model.boosters_)
    return total[:, :-1], float(total[0, -1])


def by_theme(
    values: Floats, features: Sequence[str], themes: Mapping[str, str]
) -> tuple[Floats, tuple[str, ...]]:
    """Sum contributions over the features of each theme.

    Parameters
    ----------
    values : ndarray of shape (n, n_features)
    features : sequence of str
        Name of each column of ``values``.
    themes : mapping of str to str
        Theme of each feature.

    Returns
    -------
    sums : ndarray of shape (n, n_themes)
    names : tuple of str
        Themes in the order of their first feature.

    Raises
    ------
    ValueError
        A feature has no theme, or the numbers of features differ.
    """
    if values.shape[1] != len(features):
        raise ValueError(
            f"values must have one column per feature, got {values.shape[1]} and {len(features)}"
        )
    missing = [name for name in features if name not in themes]
    if missing:
        raise ValueError(f"every feature must have a theme; offending: {missing[:5]} of {len(missing)}")
    names = tuple(dict.fromkeys(themes[name] for name in features))
    member = np.array([[themes[name] == theme for theme in names] for name in features], dtype=np.float64)
    return values @ member, names
