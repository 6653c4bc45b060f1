"""Splits that respect time: what was learnt must have been known before what is judged.

A row of snapshot ``D`` carries a label that is settled only when the whole day ``D + horizon`` is over.
It may therefore train a model for snapshot ``T`` only if ``T - D > horizon`` (in days); rows in between
are purged. Features look backwards, so no embargo is needed after the judged rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Holdout:
    """Rows to train on, rows to judge on, and how many were purged between the two.

    Attributes
    ----------
    train, test : ndarray of int
        Row positions, ascending.
    purged : int
        Rows before the test period whose labels were not yet known on its first day.
    first_test : numpy.datetime64
        First snapshot of the test period.
    """

    train: NDArray[np.intp]
    test: NDArray[np.intp]
    purged: int
    first_test: np.datetime64


def as_days(snapshots: Any) -> NDArray[np.datetime64]:
    """Snapshot days as ``datetime64[D]``, from dates, timestamps, strings or Arrow/pandas columns.

    Raises
    ------
    ValueError
        A snapshot is missing.
    """
    days = np.asarray(snapshots).astype("datetime64[D]").reshape(-1)
    if np.isnat(days).any():
        raise ValueError(f"snapshots must not be missing, got {int(np.isnat(days).sum())} missing")
    return days


def out_of_time(snapshots: Any, *, months: int = 4, horizon_days: int = 30) -> Holdout:
    """Hold out the last ``months`` calendar months that have snapshots.

    Parameters
    ----------
    snapshots : array-like of shape (n,)
        Day each row would have been scored.
    months : int
        Number of distinct calendar months to judge on.
    horizon_days : int
        Days after a snapshot within which its label happens.

    Raises
    ------
    ValueError
        There are no more than ``months`` months, or nothing to train on is left after purging.
    """
    days = as_days(snapshots)
    calendar = days.astype("datetime64[M]")
    distinct = np.unique(calendar)
    if months < 1 or len(distinct) <= months:
        raise ValueError(f"months must be between 1 and {len(distinct) - 1} (months with data), got {months}")
    test = calendar >= distinct[-months]
    first = days[test].min()
    train = days + np.timedelta64(horizon_days, "D") < first
    if not train.any():
        raise ValueError(
            f"snapshots must reach back more than {horizon_days} days before {first}, "
            f"got {days.min()} as the earliest"
        )
    return Holdout(np.flatnonzero(train), np.flatnonzero(test), int((~train & ~test).sum()), first)


def forward_folds(
    snapshots: Any, *, n_folds: int = 3, horizon_days: int = 30
) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Expanding-window folds: train on the past, validate on the next block of snapshots.

    The distinct snapshots are cut into ``n_folds + 2`` blocks of about equal number (never less than
    one); the last ``n_folds`` blocks are validated in turn, each against all earlier rows whose labels
    were known by its first day.

    Parameters
    ----------
    snapshots : array-like of shape (n,)
        Day each row would have been scored.
    n_folds : int
        Desired number of folds; fewer are returned when there are too few snapshots.
    horizon_days : int
        Days after a snapshot within which its label happens.

    Returns
    -------
    list of (train, validation)
        Row positions, in time order; empty when no fold has anything to train on.
    """
    if n_folds < 1:
        raise ValueError(f"n_folds must be at least 1, got {n_folds}")
    days = as_days(snapshots)
    distinct = np.unique(days)
    size = max(1, len(distinct) // (n_folds + 2))
    folds = []
    for k in range(n_folds, 0, -1):
        start = len(distinct) - k * size
        if start < 1:
            continue
        first, last = distinct[start], distinct[start + size - 1]
        train = np.flatnonzero(days + np.timedelta64(horizon_days, "D") < first)
        if len(train):
            folds.append((train, np.flatnonzero((days >= first) & (days <= last))))
    return folds
