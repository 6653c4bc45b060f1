"""The list of products with the largest expected F1, "nothing" included.

A threshold on the probability is wrong for everyone: who reorders little is best served by a longer list of
unlikely products, who reorders much by the sure ones. So the list is chosen per customer.

With probabilities ``p_1 >= p_2 >= ...`` of a customer's products, N of which will be bought, the expected F1
of the first k is ``E[2 TP / (k + N)]``. Because ``1 / m`` is the integral of ``s^(m-1)`` over [0, 1],

    E[2 TP / (k + N)] = 2 * integral of s^k * G(s) * sum over i <= k of p_i / (1 - p_i + p_i s) ds

with ``G(s)``, the product of all ``1 - p_j + p_j s``. The integrand is a polynomial that rises towards s = 1, the
faster the more is bought; with ``s = 1 - v^2`` Gauss-Legendre quadrature has its nodes where they are needed (ten
digits with 300 products, by the tests). The work grows with the number of products, where dynamic programming over
the Poisson-binomial distribution grows with its square.

The products of an order are not independent: an order is large or small as a whole. All log-odds of an order
are therefore shifted by one normal variable (:mod:`models.repurchase.order_size`), and the expectation is the
mean over its quadrature nodes. The chance of "nothing" comes from the same mixture; with independent
products it is far too small.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.repurchase.order_size import OrderSize

Floats = NDArray[np.float64]

#: Nodes of the quadrature over [0, 1].
NODES = 32

#: Products computed at once; bounds the memory at a few hundred MiB.
CHUNK = 100_000


@dataclass(frozen=True)
class Choice:
    """Best list of each group of products.

    Attributes
    ----------
    size : ndarray of int, shape (n_groups,)
        Products to name, in falling order of probability; 0 for "nothing".
    expected_f1 : ndarray of shape (n_groups,)
        Expected F1 of that list; for "nothing" the probability that nothing is bought.
    nothing : ndarray of shape (n_groups,)
        Probability that none of the products is bought.
    """

    size: NDArray[np.int64]
    expected_f1: Floats
    nothing: Floats


def choose(probability: Any, sizes: Any, order_size: OrderSize | None = None) -> Choice:
    """Choose the list of every group.

    Parameters
    ----------
    probability : array-like of shape (n,)
        Probability of each product, falling within a group; groups follow each other.
    sizes : array-like of int, shape (n_groups,)
        Products of each group, at least one.
    order_size : OrderSize, optional
        How the products of an order depend on each other; independent by default.

    Raises
    ------
    ValueError
        A group is empty, sizes do not add up, or probabilities are not in [0, 1] and falling.
    """
    p, counts = np.asarray(probability, dtype=np.float64), np.asarray(sizes, dtype=np.int64)
    _check(p, counts)
    spread = order_size or OrderSize()
    ends = np.cumsum(counts)
    parts = [
        _choose(p[ends[first] - counts[first] : ends[last]], counts[first : last + 1], spread)
        for first, last in _chunks(ends)
    ]
    if not parts:
        empty = np.empty(0)
        return Choice(np.empty(0, dtype=np.int64), empty, empty)
    return Choice(*(np.concatenate([getattr(part, name) for part in parts]) for name in _FIELDS))


def expected_f1(probability: Any, order_size: OrderSize | None = None) -> Floats:
    """Expected F1 of the first k of one group's products, for k = 0, 1, ..., n; shape (n + 1,)."""
    p = np.asarray(probability, dtype=np.float64)
    counts = np.array([len(p)])
    _check(p, counts)
    values, nothing = _expected(p, counts, order_size or OrderSize())
    return np.concatenate([nothing, values])


_FIELDS = ("size", "expected_f1", "nothing")


def _choose(p: Floats, counts: NDArray[np.int64], spread: OrderSize) -> Choice:
    values, nothing = _expected(p, counts, spread)
    starts = np.cumsum(counts) - counts
    best = np.maximum.reduceat(values, starts)
    # The shortest of equally good lists.
    place = np.where(values == np.repeat(best, counts), np.arange(len(p)), len(p))
    size = np.minimum.reduceat(place, starts) - starts + 1
    some = best > nothing
    return Choice(np.where(some, size, 0), np.where(some, best, nothing), nothing)


def _expected(p: Floats, counts: NDArray[np.int64], spread: OrderSize) -> tuple[Floats, Floats]:
    """Expected F1 of the list that ends at each product, and the probability of nothing by group."""
    node, weight = np.polynomial.legendre.leggauss(NODES)
    v = (node + 1) / 2
    s, w = 1 - v**2, weight * v  # ds = 2 v dv, and dv = d(node) / 2
    starts = np.cumsum(counts) - counts
    k = np.arange(len(p)) - np.repeat(starts, counts) + 1
    powers = np.exp(k[:, None] * np.log(s)) * (2 * w)
    values, nothing = np.zeros(len(p)), np.zeros(len(counts))
    for given, share in spread.conditional(p):
        factors = 1 - given[:, None] * (1 - s)
        log_all = np.add.reduceat(np.log(factors), starts, axis=0)
        hits = np.cumsum(given[:, None] / factors, axis=0)
        before = np.vstack([np.zeros(len(s)), hits[starts[1:] - 1]])
        hits -= np.repeat(before, counts, axis=0)
        values += share * np.einsum("ij,ij,ij->i", powers, hits, np.repeat(np.exp(log_all), counts, axis=0))
        with np.errstate(divide="ignore"):  # a certain product: log of 0, nothing is impossible
            nothing += share * np.exp(np.add.reduceat(np.log1p(-given), starts))
    return values, nothing


def _chunks(ends: NDArray[np.int64]) -> list[tuple[int, int]]:
    """First and last group of chunks of about ``CHUNK`` products."""
    found, first = [], 0
    while first < len(ends):
        begin = ends[first - 1] if first else 0
        last = max(first, int(np.searchsorted(ends, begin + CHUNK, side="right")) - 1)
        found.append((first, last))
        first = last + 1
    return found


def _check(p: Floats, counts: NDArray[np.int64]) -> None:
    if counts.sum() != len(p) or (counts < 1).any():
        raise ValueError(
            f"sizes must be at least 1 and add up to the {len(p)} products, got a sum of {counts.sum()} and "
            f"{int((counts < 1).sum())} empty groups"
        )
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("probabilities must be in [0, 1] and not missing")
    begins = np.zeros(len(p), dtype=bool)
    begins[(np.cumsum(counts) - counts)[counts > 0]] = True
    if (np.diff(p) > 0)[~begins[1:]].any():
        raise ValueError("probabilities must fall within each group: sort them first")
