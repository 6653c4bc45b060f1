"""Recommendation by the votes of customers who hold similar products.

Customers are told apart by their holdings alone, and of a few dozen products there are far fewer different sets of
holdings than customers: everything is done once per set. Against one customer, all others with so many products of
which so many are shared are equally similar, so neighbours are found by counting and never by sorting.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from models.compiled import compiled

Floats = NDArray[np.float64]
Words = NDArray[np.uint64]

SIMILARITIES = ("cosine", "jaccard")
#: A thread takes so many sets of holdings at once.
_ROWS = 64


@dataclass(frozen=True)
class Recommended:
    """Products recommended to customers, best first.

    Attributes
    ----------
    product : ndarray of shape (n, top), int
        Column of the product; -1 where nothing is left to recommend.
    score : ndarray of shape (n, top)
        Its score; NaN where there is none.
    """

    product: NDArray[np.int64]
    score: Floats


class NeighbourVotes(BaseEstimator):  # type: ignore[misc]
    """k nearest neighbours on holdings: each product's share of the neighbours' votes, weighted by similarity.

    The score of product i for customer u is the sum of ``sim(u, v) r(v, i)`` over the neighbours v, divided by the
    sum of ``sim(u, v)``. ``r(v, i)`` is 1 if v holds i, or what is given as ``ratings``. Customers who are equally
    similar are equally near: those who share the k-th place are all counted, each with the same part of a vote, so
    that the order of the rows decides nothing.

    Parameters
    ----------
    k : int
        Neighbours.
    similarity : {'cosine', 'jaccard'}
        Of two sets of products.
    newcomers : bool
        Whether neighbours are looked for only among customers who hold something that the customer does not. Where
        tens of thousands hold exactly the same two products, the nearest k have nothing to recommend to each other.

    Attributes
    ----------
    holdings_ : ndarray of shape (n_sets, n_features), bool
        Different sets of holdings.
    customers_ : ndarray of shape (n_sets,)
        How many customers have each.
    ratings_ : ndarray of shape (n_sets, n_features)
        Sum of their ratings.
    """

    def __init__(self, *, k: int = 100, similarity: str = "cosine", newcomers: bool = True) -> None:
        self.k = k
        self.similarity = similarity
        self.newcomers = newcomers

    def fit(self, X: Any, y: Any = None, *, ratings: Any = None) -> Self:
        """Count the sets of holdings.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n, n_features)
            Holdings: not 0 where a customer holds a product.
        ratings : array-like or sparse matrix of shape (n, n_features), optional
            Not negative; the holdings by default.

        Raises
        ------
        ValueError
            A parameter is out of range, or ``ratings`` has another shape than ``X``.
        """
        if self.k < 1:
            raise ValueError(f"k must be at least 1, got {self.k!r}")
        if self.similarity not in SIMILARITIES:
            raise ValueError(f"similarity must be one of {SIMILARITIES}, got {self.similarity!r}")
        held = _flags(validate_data(self, X, accept_sparse="csr"))
        self.holdings_, member, count = _sets(held)
        self.customers_ = count.astype(np.float64)
        if ratings is None:
            self.ratings_ = self.holdings_ * self.customers_[:, None]
            return self
        given = check_array(ratings, accept_sparse="csr", dtype=np.float64)
        if given.shape != held.shape:
            raise ValueError(f"ratings must have the shape of X, got {given.shape} and {held.shape}")
        of_set = sparse.csr_matrix(
            (np.ones(len(member)), (member, np.arange(len(member)))), shape=(len(count), len(member))
        )
        summed = of_set @ given
        self.ratings_ = np.asarray(summed.todense() if sparse.issparse(summed) else summed)
        return self

    def votes(self, X: Any, *, n_jobs: int = 1) -> Floats:
        """Score of every product for every customer, shape (n, n_features); held ones included."""
        sets, member = self._asked(X)
        return np.asarray(self._votes(sets, n_jobs)[member])

    def recommend(self, X: Any, *, top: int = 3, n_jobs: int = 1) -> Recommended:
        """Products not held with the highest scores; of equal scores, what more customers hold, then the first."""
        sets, member = self._asked(X)
        best = best_of(self._votes(sets, n_jobs), sets, top, ties=self.popularity())
        return Recommended(best.product[member], best.score[member])

    def popularity(self) -> Floats:
        """Share of the customers who hold each product."""
        check_is_fitted(self, "holdings_")
        return np.asarray(self.customers_ @ self.holdings_ / self.customers_.sum())

    def _asked(self, X: Any) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
        check_is_fitted(self, "holdings_")
        sets, member, _ = _sets(_flags(validate_data(self, X, reset=False, accept_sparse="csr")))
        return sets, member

    def _votes(self, asked: NDArray[np.bool_], n_jobs: int) -> Floats:
        out = np.zeros((len(asked), self.n_features_in_))
        known, query = _packed(self.holdings_), _packed(asked)
        jaccard = self.similarity == "jaccard"

        def part(start: int) -> None:
            stop = min(start + _ROWS, len(asked))
            _vote_rows(
                query, start, stop, known, self.customers_, self.ratings_, self.n_features_in_,
                float(self.k), jaccard, self.newcomers, out,
            )  # fmt: skip

        with ThreadPoolExecutor(n_jobs) as pool:
            list(pool.map(part, range(0, len(asked), _ROWS)))
        return out

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def best_of(scores: Floats, held: NDArray[np.bool_], top: int, *, ties: Floats) -> Recommended:
    """The highest scores of products that are not held; ``ties`` breaks equal ones, then the column."""
    order = np.lexsort((-np.broadcast_to(ties, scores.shape), -scores, held), axis=1)[:, :top]
    score = np.take_along_axis(scores, order, axis=1)
    nothing = np.take_along_axis(held, order, axis=1)
    product = np.where(nothing, -1, order).astype(np.int64)
    score = np.where(nothing, np.nan, score)
    missing = top - product.shape[1]
    if missing > 0:  # fewer products than places
        product = np.pad(product, ((0, 0), (0, missing)), constant_values=-1)
        score = np.pad(score, ((0, 0), (0, missing)), constant_values=np.nan)
    return Recommended(product, score)


def _flags(X: Any) -> NDArray[np.bool_]:
    """Holdings as flags; a byte per cell, also where the matrix came sparse."""
    return np.asarray((X != 0).toarray() if sparse.issparse(X) else X != 0, dtype=np.bool_)


def _sets(held: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.intp], NDArray[np.intp]]:
    """Different rows, the one each row is, and how often each occurs."""
    bits = np.ascontiguousarray(np.packbits(held, axis=1))
    keys = bits.view(np.dtype((np.void, bits.shape[1]))).reshape(-1)
    _, first, member, count = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    return held[first], member.reshape(-1), count


def _packed(held: NDArray[np.bool_]) -> Words:
    """Flags as bits, shape (n, words of 64)."""
    width = -(-held.shape[1] // 64) * 64
    padded = np.zeros((len(held), width), dtype=np.bool_)
    padded[:, : held.shape[1]] = held
    return np.packbits(padded, axis=1).view(np.uint64)


@compiled
def _count_bits(word: np.uint64) -> np.int64:
    """Number of ones."""
    x = word
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((x * np.uint64(0x0101010101010101)) >> np.uint64(56))


@compiled
def _vote_rows(
    query: Words,
    start: int,
    stop: int,
    known: Words,
    customers: Floats,
    ratings: Floats,
    n_features: int,
    k: float,
    jaccard: bool,
    newcomers: bool,
    out: Floats,
) -> None:
    """Votes for the sets ``start`` to ``stop``; the one customer who asks is no neighbour."""
    n, words = known.shape
    wide = n_features + 1
    cell = np.empty(n, dtype=np.int32)
    sizes = np.zeros(n, dtype=np.int32)
    for v in range(n):
        for w in range(words):
            sizes[v] += np.int32(_count_bits(known[v, w]))
    for u in range(start, stop):
        # Everybody with the same number of products, of which the same number is shared, is equally similar.
        for v in range(n):
            shared = np.int32(0)
            for w in range(words):
                shared += np.int32(_count_bits(query[u, w] & known[v, w]))
            cell[v] = shared * np.int32(wide) + sizes[v]
        count = np.zeros(wide * wide)
        for v in range(n):
            count[cell[v]] += customers[v]
        size = np.int64(0)
        for w in range(words):
            size += _count_bits(query[u, w])
        # Sets are all different, so that only the same set has this size and shares all of it.
        twin = size * wide + size
        alike = count[twin]
        count[twin] = max(alike - 1.0, 0.0)
        similarity = np.zeros(wide * wide)
        for c in range(wide, wide * wide):
            common, theirs = c // wide, c % wide
            if count[c] > 0.0 and not (newcomers and common == theirs):
                if jaccard:
                    similarity[c] = common / (size + theirs - common)
                else:
                    similarity[c] = common / np.sqrt(float(size * theirs))
        # From the most similar down, whole groups of equals; the last group shares what is left of the k places.
        weight = np.zeros(wide * wide)
        order = np.argsort(-similarity)
        left, total, at = k, 0.0, 0
        while at < wide * wide and left > 0.0 and similarity[order[at]] > 0.0:
            nearest, last, group = similarity[order[at]], at, 0.0
            while last < wide * wide and similarity[order[last]] >= nearest - 1e-12:
                group += count[order[last]]
                last += 1
            part = min(1.0, left / group)
            for place in range(at, last):
                weight[order[place]] = part * nearest
            total += part * nearest * group
            left -= part * group
            at = last
        if alike > 0.0:
            weight[twin] *= count[twin] / alike
        for v in range(n):
            share = weight[cell[v]]
            if share > 0.0:
                for i in range(n_features):
                    out[u, i] += share / total * ratings[v, i]
