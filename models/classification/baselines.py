"""What the boosted classifier must beat: a logistic regression, and one rule a person can apply."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted, validate_data

from models.classification.frames import FrameEncoder
from models.classification.targets import two_classes


def logistic_baseline(*, penalty_strength: float = 1.0, random_state: int = 0) -> Pipeline:
    """Logistic regression on a mixed frame: one-hot words, median for missing numbers, unit variance.

    Parameters
    ----------
    penalty_strength : float
        L2 penalty on the scaled coefficients (scikit-learn's ``1 / C``).
    random_state : int
        Seed; the solver used here draws nothing.
    """
    return Pipeline(
        [
            ("encode", FrameEncoder(one_hot=True)),
            ("impute", SimpleImputer(strategy="median", keep_empty_features=True)),
            ("scale", StandardScaler()),
            ("model", LogisticRegression(C=1 / penalty_strength, max_iter=2000, random_state=random_state)),
        ]
    )


class UsageTrendRule(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """The rule "usage trend alone": the more usage fell, the more likely the account leaves.

    Nothing is learned but the classes and the median trend, which stands in for missing ones. The score
    is ``1 / (1 + trend)``: 0.5 where usage is steady (trend 1), 1 where it stopped. It ranks; it is not
    the probability of the event.

    Parameters
    ----------
    column : str or int
        Column with the ratio of recent to earlier usage (not negative).
    """

    def __init__(self, *, column: str | int = "usage_trend_4w") -> None:
        self.column = column

    def fit(self, X: Any, y: Any) -> Self:
        """Remember the classes and the median trend.

        Raises
        ------
        ValueError
            The column is missing, or ``y`` does not have exactly two classes.
        """
        trend = self._trend(X, reset=True)
        self.classes_, _ = two_classes(y, trend)
        known = trend[~np.isnan(trend)]
        self.median_ = float(np.median(known)) if len(known) else 1.0
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Rank scores of the two classes, shape (n, 2); they are no probabilities, see the class."""
        check_is_fitted(self, "median_")
        trend = self._trend(X, reset=False)
        score = 1.0 / (1.0 + np.maximum(np.where(np.isnan(trend), self.median_, trend), 0.0))
        return np.column_stack([1.0 - score, score])

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict the event where usage fell, shape (n,)."""
        fell = self.predict_proba(X)[:, 1] > 0.5
        return np.asarray(self.classes_[fell.astype(np.intp)])

    def _trend(self, X: Any, *, reset: bool) -> NDArray[np.float64]:
        if isinstance(X, pd.DataFrame):
            validate_data(self, X, reset=reset, skip_check_array=True)
            if self.column not in X.columns:
                raise ValueError(f"X must have the column {self.column!r}, got {list(X.columns)[:5]}...")
            return X[self.column].to_numpy(dtype=np.float64, na_value=np.nan)
        checked = validate_data(self, X, reset=reset, dtype="numeric", ensure_all_finite="allow-nan")
        return np.asarray(checked[:, self.column], dtype=np.float64)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.classifier_tags.multi_class = False
        tags.classifier_tags.poor_score = True  # one fixed column knows nothing about other data
        return tags
