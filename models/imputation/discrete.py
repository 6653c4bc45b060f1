"""Levels and categories, drawn one column after the other, each given what was observed and drawn before.

A normal is a poor picture of a category, but a good one of how likely each is: by Bayes' rule a category's
probability is its share times the density of its scores given the row, over their density in general. Where groups
differ in their means only this is exact (it is linear discriminant analysis); with nothing to go by it is the share.
What is continuous is drawn last, given the categories.
"""

from __future__ import annotations

from concurrent.futures import Executor

import numpy as np
from numpy.typing import NDArray

from models.imputation.design import Design
from models.imputation.draws import conditional_means
from models.imputation.em import Incomplete, Moments
from models.imputation.kernels import block_covariances
from models.imputation.priors import PriorTable
from models.imputation.transforms import DiscreteColumn

Floats = NDArray[np.float64]
Codes = dict[str | int, NDArray[np.intp]]


def draw_discrete(
    values: Floats,
    design: Design,
    moments: Moments,
    *,
    rng: np.random.Generator | None,
    priors: PriorTable | None = None,
    pool: Executor | None = None,
) -> Codes:
    """Draw all missing levels and categories, and put their scores into the table.

    Parameters
    ----------
    values : ndarray of shape (n, p)
        Standardised, NaN where missing; missing scores are overwritten.
    design, moments
    rng : Generator or None
        None takes the likeliest.
    priors : PriorTable, optional
    pool : Executor, optional

    Returns
    -------
    dict of ndarray of int, shape (n,)
        Drawn level by column, -1 where none was missing.
    """
    codes: Codes = {}
    for column, start in zip(design.columns_, design.start_, strict=True):
        if not isinstance(column, DiscreteColumn):
            continue
        code = np.full(len(values), -1, dtype=np.intp)
        rows = np.flatnonzero(np.isnan(values[:, start]))
        if len(rows):
            block = np.arange(start, start + len(column.names_))
            scores = (column.scores_ - design.center_[block]) / design.scale_[block]
            data = Incomplete.of(values[rows], None if priors is None else priors.take(rows))
            share = probabilities(data, moments, block, scores, column.share_, pool)
            code[rows] = _pick(share, rng)
            values[rows[:, None], block] = scores[code[rows]]
        codes[column.name] = code
    return codes


def probabilities(
    data: Incomplete,
    moments: Moments,
    block: NDArray[np.intp],
    scores: Floats,
    share: Floats,
    pool: Executor | None = None,
) -> Floats:
    """Probabilities of the levels in each row, shape (n, levels).

    Parameters
    ----------
    data : Incomplete
        Rows that all miss the column.
    moments : Moments
    block : ndarray of int, shape (w,)
        The column's place in the matrix.
    scores : ndarray of shape (levels, w)
        What the column's scores are at each level, standardised.
    share : ndarray of shape (levels,)
        How often each level was observed.
    """
    n, w = len(data.filled), len(block)
    covariance = np.empty((n, w, w))
    block_covariances(moments.precision, *data.arguments(), block[0], covariance)
    found = data.patterns
    width = np.repeat(np.diff(found.column_start), np.diff(found.start))
    # The block's place in the list of a row's missing cells: after those to its left.
    left = np.empty(n, dtype=np.int64)
    before = np.add.reduceat(
        np.append(found.columns < block[0], False), found.column_start[:-1], dtype=np.int64
    )
    left[found.order] = np.repeat(before, np.diff(found.start))
    cell = np.empty(n, dtype=np.int64)
    cell[found.order] = found.cell
    if (width < w).any():
        raise ValueError("every row must miss the column")
    means = conditional_means(data, moments, pool=pool)
    mean = means[(cell + left)[:, None] + np.arange(w)]
    off = scores[None, :, :] - mean[:, None, :]
    given = np.einsum("nkw,nwv,nkv->nk", off, np.linalg.pinv(covariance, hermitian=True), off)
    general = scores - moments.mean[block]
    usual = np.linalg.pinv(moments.covariance[np.ix_(block, block)], hermitian=True)
    weight = np.log(share) - 0.5 * given + 0.5 * np.einsum("kw,wv,kv->k", general, usual, general)
    weight = np.exp(weight - weight.max(axis=1, keepdims=True))
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))


def _pick(share: Floats, rng: np.random.Generator | None) -> NDArray[np.intp]:
    if rng is None:
        return np.asarray(share.argmax(axis=1), dtype=np.intp)
    cumulative = np.cumsum(share, axis=1)[:, :-1]
    return np.asarray((rng.random(len(share))[:, None] >= cumulative).sum(axis=1), dtype=np.intp)
