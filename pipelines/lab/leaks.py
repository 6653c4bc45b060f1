"""Leak detector: columns of a feature table that know what could not have been known.

Three looks at a table, none of which knows how it was made:

- :func:`changed` is a proof. Build the table twice, from the rows known before the day and from all rows. What
  differs was made from the future: nothing else was different.
- :func:`future_dated` finds dates that had not come yet.
- :func:`surprising` is a suspicion, for a table that cannot be built twice. A feature of the past may say
  something about the target beyond the target's own history, but not a quarter of it; and once the target's period
  is over, next to nothing of the period after. A statistic over the whole data set, the target's period and
  later ones included, does. The more periods it is spread over, the weaker the sign: no finding is no proof.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

#: Share of what history leaves open of the target that no feature of the past explains.
OWN_LIMIT = 0.25

#: The same for the period after the target's, when the target's own value is known.
LATER_LIMIT = 0.10

#: A feature that orders the rows as the target does, up to this rank correlation, is the target.
COPY_LIMIT = 0.98

#: Fewest rows that a suspicion is built on: at 200, chance alone explains 0.10 less than once in 100,000 features.
MIN_ROWS = 200


class Kind(StrEnum):
    """What gives a leak away."""

    CHANGES = "changes"
    FUTURE_DATED = "future_dated"
    IS_TARGET = "is_target"
    KNOWS_TARGET = "knows_target"
    KNOWS_LATER = "knows_later"


@dataclass(frozen=True)
class Leak:
    """One column that knows too much.

    Attributes
    ----------
    column
        Its name; the key's columns, joined, where whole rows differ.
    kind
        What gave it away.
    rows
        Rows concerned, or looked at.
    size
        Largest difference, days ahead, or share explained, by ``kind``; NaN where differences have no size.
    words
        The finding in words.
    """

    column: str
    kind: Kind
    rows: int
    size: float
    words: str


def changed(known: pd.DataFrame, everything: pd.DataFrame, *, key: Sequence[str]) -> list[Leak]:
    """Compare a feature table built from what was known with the same built from everything.

    Parameters
    ----------
    known
        Features of some days, built from the rows known before them only.
    everything
        Features of the same days, built from all rows, those that became known later included.
    key
        Columns that identify a row.

    Returns
    -------
    list of Leak
        One per column that differs, and one if rows do; empty if the tables are equal.

    Raises
    ------
    ValueError
        The tables have different columns, or keys repeat.
    """
    if set(known.columns) != set(everything.columns):
        raise ValueError(
            "both tables must have the same columns, only one has "
            f"{sorted(set(known.columns) ^ set(everything.columns))}"
        )
    names = list(key)
    left, right = known.set_index(names), everything.set_index(names)
    for frame in (left, right):
        if frame.index.has_duplicates:
            raise ValueError(f"key {names} must be unique, got {int(frame.index.duplicated().sum())} repeats")
    shared = left.index.intersection(right.index)
    findings = []
    lost, new = len(left) - len(shared), len(right) - len(shared)
    if lost or new:
        example = left.index.symmetric_difference(right.index)[0]
        findings.append(
            Leak(
                ", ".join(names),
                Kind.CHANGES,
                lost + new,
                float("nan"),
                f"rows: {new} appear and {lost} vanish once later rows are known, for instance {example}",
            )
        )
    left, right = left.loc[shared], right.loc[shared]
    for column in left.columns:
        found = _difference(left[column], right[column])
        if found is not None:
            findings.append(found)
    return findings


def _difference(before: pd.Series, after: pd.Series) -> Leak | None:
    same = (before == after) | (before.isna() & after.isna())
    different = ~same.to_numpy(dtype=bool, na_value=False)
    if not different.any():
        return None
    size = float("nan")
    at = int(np.flatnonzero(different)[0])
    if pd.api.types.is_numeric_dtype(before) and pd.api.types.is_numeric_dtype(after):
        gaps = np.abs(after.to_numpy(float) - before.to_numpy(float))
        if np.isfinite(gaps[different]).any():
            size = float(np.nanmax(np.where(different, gaps, np.nan)))
            at = int(np.nanargmax(np.where(different, gaps, np.nan)))
    rows = int(different.sum())
    where = f"{before.index[at]}: {before.iloc[at]} becomes {after.iloc[at]}"
    most = "" if np.isnan(size) else f", by {size:.6g} at most"
    words = f"{before.name}: {rows} of {len(before)} rows change once later rows are known{most} ({where})"
    return Leak(str(before.name), Kind.CHANGES, rows, size, words)


def future_dated(
    frame: pd.DataFrame, *, as_of: str = "as_of", known_ahead: Collection[str] = ()
) -> list[Leak]:
    """Find columns with dates that had not come on the row's day.

    Parameters
    ----------
    frame
        Rows with a column of days ``as_of`` (dates or datetimes).
    known_ahead
        Columns whose dates may lie ahead, for instance the day that a row is about.
    """
    day = pd.to_datetime(frame[as_of])
    findings = []
    for column in frame.columns.difference([as_of, *known_ahead], sort=False):
        dates = _dates(frame[column])
        if dates is None:
            continue
        ahead = (dates - day).dt.days
        late = ahead >= 0
        if late.any():
            furthest = int(ahead[late].max())
            words = (
                f"{column}: {int(late.sum())} of {len(frame)} rows hold a date that had not come, "
                f"up to {furthest} days after the row's own"
            )
            findings.append(Leak(str(column), Kind.FUTURE_DATED, int(late.sum()), float(furthest), words))
    return findings


def _dates(column: pd.Series) -> pd.Series | None:
    """Values as datetimes, if the column holds dates."""
    if pd.api.types.is_datetime64_any_dtype(column):
        return column
    if column.dtype == object and pd.api.types.infer_dtype(column, skipna=True) in ("date", "datetime"):
        return pd.to_datetime(column)
    return None


def surprising(
    frame: pd.DataFrame,
    *,
    features: Sequence[str],
    target: str,
    history: Sequence[str],
    later: str | None = None,
    by: str | None = "as_of",
) -> list[Leak]:
    """Find features that say more about the target than the past can.

    All relations are rank correlations (Spearman) within the days of ``by``, less what the history explains: the
    share explained is the square of the partial correlation.

    Parameters
    ----------
    frame
        A stack of past days: one row per day and entity.
    features
        Numeric columns to judge. Leave out what is known in advance (a promotion that is announced explains the
        sales of its days, rightly) and judge it by :func:`changed`.
    target
        What happened in the period ahead of the day.
    history
        What happened in periods before it: the recent level at least, better also a longer one.
    later
        What happened in the period after the target's.
    by
        Column of days within which rows are ranked; None for a single day.

    Raises
    ------
    ValueError
        There are fewer than 200 complete rows, or no history.
    """
    if not history:
        raise ValueError("history must name at least one column: without it every good feature is a surprise")
    told = [target, *history, *([later] if later else [])]
    rows = frame.dropna(subset=told)
    if len(rows) < MIN_ROWS:
        raise ValueError(f"at least {MIN_ROWS} complete rows are needed, got {len(rows)}")
    findings = []
    for name in features:
        present = rows[rows[name].notna()]
        if len(present) < MIN_ROWS or present[name].nunique() < 2:
            continue
        ranks = _ranks(present, [name, *told], by)
        finding = _judge(name, ranks, target, history, later)
        if finding is not None:
            findings.append(finding)
    return findings


def _judge(
    name: str, ranks: pd.DataFrame, target: str, history: Sequence[str], later: str | None
) -> Leak | None:
    feature, y = ranks[name].to_numpy(), ranks[target].to_numpy()
    past = ranks[list(history)].to_numpy()
    rho = abs(_correlation(feature, y))
    usual = max(abs(_correlation(past[:, column], y)) for column in range(past.shape[1]))
    if rho >= COPY_LIMIT > usual:
        words = f"{name}: orders the rows as {target} does (rank correlation {rho:.3f}, history {usual:.3f})"
        return Leak(name, Kind.IS_TARGET, len(ranks), rho, words)
    own = _explained(feature, y, past)
    if own >= OWN_LIMIT:
        words = (
            f"{name}: explains {own:.0%} of what history leaves open of {target}; "
            f"a feature of the past explains less than {OWN_LIMIT:.0%}"
        )
        return Leak(name, Kind.KNOWS_TARGET, len(ranks), own, words)
    if later is not None:
        beyond = _explained(feature, ranks[later].to_numpy(), np.column_stack([past, y]))
        if beyond >= LATER_LIMIT:
            words = (
                f"{name}: explains {beyond:.0%} of what history and {target} leave open of {later}, a period "
                f"after the one ahead; a feature of the past explains less than {LATER_LIMIT:.0%}"
            )
            return Leak(name, Kind.KNOWS_LATER, len(ranks), beyond, words)
    return None


def told(findings: Sequence[Leak], *, columns: int) -> str:
    """Report on ``columns`` columns that were looked at, one line per finding."""
    if not findings:
        return f"No leak found in {columns} columns."
    lines = "\n".join(f"  - {finding.words}" for finding in findings)
    return f"{len(findings)} of {columns} columns leak:\n{lines}"


def _ranks(frame: pd.DataFrame, columns: Sequence[str], by: str | None) -> pd.DataFrame:
    """Ranks as shares, separately for each day, so that what all rows of a day have in common counts for nothing."""
    values = frame[list(columns)].astype(float)
    return values.rank(pct=True) if by is None else values.groupby(frame[by]).rank(pct=True)


def _explained(feature: NDArray[Any], target: NDArray[Any], controls: NDArray[Any]) -> float:
    """Squared partial correlation of feature and target, given the controls."""
    design = np.column_stack([np.ones(len(controls)), controls])
    both = np.column_stack([feature, target])
    rest = both - design @ np.linalg.lstsq(design, both, rcond=None)[0]
    return float(_correlation(rest[:, 0], rest[:, 1]) ** 2)


def _correlation(a: NDArray[Any], b: NDArray[Any]) -> float:
    a, b = a - a.mean(), b - b.mean()
    scale = np.sqrt((a @ a) * (b @ b))
    # What the controls explain to the last digit leaves rounding errors, which correlate with anything.
    return float(a @ b / scale) if scale > 1e-9 * len(a) else 0.0
