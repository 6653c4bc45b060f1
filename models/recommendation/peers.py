"""What neighbours must beat, or are compared with: popularity, and items that are held together."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from models.recommendation.neighbours import Recommended, best_of

Floats = NDArray[np.float64]


class Popularity(BaseEstimator):  # type: ignore[misc]
    """What most customers hold, for everybody alike.

    Attributes
    ----------
    share_ : ndarray of shape (n_features,)
        Share of the customers who hold each product.
    """

    def fit(self, X: Any, y: Any = None) -> Self:
        """Count holdings."""
        self.share_ = np.asarray((validate_data(self, X, accept_sparse="csr") != 0).mean(axis=0)).reshape(-1)
        return self

    def recommend(self, X: Any, *, top: int = 3) -> Recommended:
        """Most popular products that are not held."""
        check_is_fitted(self, "share_")
        held = _dense(validate_data(self, X, reset=False, accept_sparse="csr")) != 0
        return best_of(np.tile(self.share_, (len(held), 1)), held, top, ties=self.share_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class ItemNeighbours(BaseEstimator):  # type: ignore[misc]
    """k nearest neighbours of items: products that are held together with those a customer holds.

    The score of product i is the sum of its cosine similarities with the held products, of which only the ``k``
    most similar count.

    Parameters
    ----------
    k : int
        Most similar products that are kept of each.

    Attributes
    ----------
    similarity_ : ndarray of shape (n_features, n_features)
    share_ : ndarray of shape (n_features,)
    """

    def __init__(self, *, k: int = 10) -> None:
        self.k = k

    def fit(self, X: Any, y: Any = None) -> Self:
        """Compare the products."""
        held = (_dense(validate_data(self, X, accept_sparse="csr")) != 0).astype(np.float64)
        together = held.T @ held
        norm = np.sqrt(np.diag(together))
        self.share_ = held.mean(axis=0)
        similarity = np.divide(
            together, np.outer(norm, norm), out=np.zeros_like(together), where=np.outer(norm, norm) > 0
        )
        np.fill_diagonal(similarity, 0.0)
        if self.k < len(similarity):
            least = -np.partition(-similarity, self.k - 1, axis=1)[:, self.k - 1 : self.k]
            similarity[similarity < least] = 0.0
        self.similarity_ = similarity
        return self

    def recommend(self, X: Any, *, top: int = 3) -> Recommended:
        """Products not held that go best with those that are."""
        check_is_fitted(self, "similarity_")
        held = _dense(validate_data(self, X, reset=False, accept_sparse="csr")) != 0
        return best_of(held @ self.similarity_.T, held, top, ties=self.share_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _dense(X: Any) -> NDArray[Any]:
    return np.asarray(X.toarray() if hasattr(X, "toarray") else X)
