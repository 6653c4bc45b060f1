"""Sentences for the facts of an account: one template per feature, filled for many accounts at once.

A template states what the columns of the row say and nothing else; verbs (fell, rose, stayed) follow the
numbers *as shown*, after rounding. Whether a fact raises or lowers the risk is for the caller to add.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.explanation.peers import Peers

Floats = NDArray[np.float64]
Texts = NDArray[np.object_]
#: Columns of the rows to be worded, by name; numbers and flags as floats, words as objects.
Columns = Mapping[str, NDArray[Any]]

#: The trends of the feature table end here; what lies beyond is not known.
TREND_CAP = 10.0
#: Longest category shown.
_WORD = 60


@dataclass(frozen=True)
class Template(ABC):
    """How one feature is told.

    Attributes
    ----------
    feature : str
        Column of the feature table.
    topic : str
        Fact that the feature is a facet of.
    """

    feature: str
    topic: str

    @property
    def needs(self) -> tuple[str, ...]:
        """Columns that the words are made of."""
        return (self.feature,)

    def usual(self, columns: Columns, peers: Peers) -> Floats:
        """What the peers of each row have: their median."""
        return peers.medians(columns[self.feature])

    def readings(self, columns: Columns, peer: Floats) -> NDArray[np.int8]:
        """1 where the value reads as bad news, -1 as good news, 0 as neither."""
        return np.zeros(len(columns[self.feature]), dtype=np.int8)

    @abstractmethod
    def words(self, columns: Columns, peer: Floats, peers: Texts) -> Texts:
        """Sentence per row; ``peers`` says who the peer value stands for."""


def show(values: Floats, digits: int = 0) -> Texts:
    """Numbers as text, thousands separated; ``digits`` decimals. Each distinct number is formatted once."""
    distinct, position = np.unique(rounded(values, digits), return_inverse=True)
    return np.array([f"{value:,.{digits}f}" for value in distinct.tolist()], dtype=object)[position]


def rounded(values: Floats, digits: int = 0) -> Floats:
    """Numbers as they are shown, minus zero made zero."""
    return np.asarray(np.round(values, digits) + 0.0, dtype=np.float64)


def compared(sentence: Texts, peer: Floats, peers: Texts, form: str = "{}", digits: int = 0) -> Texts:
    """Append the peer value where there is one."""
    before, after = form.split("{}")
    with_peer: Texts = sentence + "; " + peers + ": " + before + show(peer, digits) + after
    return np.where(np.isnan(peer), sentence, with_peer)


@dataclass(frozen=True)
class Level(Template):
    """A number, next to the median of the peers.

    Attributes
    ----------
    many, one, zero : str
        Sentence with ``{}`` for the number; for exactly 1, and for 0, where they need other words.
    missing : str
        Sentence where the value is null.
    form : str
        Number with its unit, for the peers.
    worse : int
        1 if more than the peers reads as bad news, -1 if less does, 0 if neither does.
    digits, scale
        Decimals shown; factor for the number shown (100 for per cent).
    ceiling, at_ceiling
        Largest value the column can hold, and the sentence there.
    """

    many: str
    missing: str = "not known"
    one: str | None = None
    zero: str | None = None
    form: str = "{}"
    worse: int = 0
    digits: int = 0
    scale: float = 1.0
    ceiling: float | None = None
    at_ceiling: str = ""

    def readings(self, columns: Columns, peer: Floats) -> NDArray[np.int8]:
        """More (or less) than the peers is bad news; as many as the peers is good news."""
        if self.worse == 0:
            return super().readings(columns, peer)
        value = columns[self.feature]
        gap = self.worse * (
            rounded(value * self.scale, self.digits) - rounded(peer * self.scale, self.digits)
        )
        return np.where(np.isnan(gap), 0, np.where(gap > 0, 1, -1)).astype(np.int8)

    def words(self, columns: Columns, peer: Floats, peers: Texts) -> Texts:
        """Fill the sentence that fits the number."""
        value = columns[self.feature]
        shown = rounded(value * self.scale, self.digits)
        before, after = self.many.split("{}")
        text: Texts = before + show(shown, self.digits) + after
        if self.one is not None:
            text = np.where(shown == 1, self.one, text)
        if self.zero is not None:
            text = np.where(value == 0, self.zero, text)
        if self.ceiling is not None:
            text = np.where(value >= self.ceiling, self.at_ceiling, text)
        text = np.where(np.isnan(value), self.missing, text)
        return compared(text, peer * self.scale, peers, self.form, self.digits)


@dataclass(frozen=True)
class Change(Template):
    """A number now and before, next to the peers' median of the number now.

    Attributes
    ----------
    subject, span, unit : str
        What changed, over which time, in what.
    now : str
        Column with the number now; the peers' median is of this column.
    before : callable
        From the columns to the number before; NaN where it cannot be told (the trend is capped or null).
    missing : str
        Sentence where the feature is null.
    trend : str, optional
        Column with the trend, where ``feature`` is that trend divided by the day's median over all
        accounts: the sentence then says whether it went better or worse than at the median account.
    """

    subject: str
    span: str
    now: str
    before: Callable[[Columns], Floats]
    unit: str = ""
    missing: str = "not known"
    trend: str | None = None

    @property
    def needs(self) -> tuple[str, ...]:
        """The feature, the number now, and the trend behind a relative one."""
        return (self.feature, self.now, *([self.trend] if self.trend else []))

    def usual(self, columns: Columns, peers: Peers) -> Floats:
        """Median of the number now."""
        return peers.medians(columns[self.now])

    def readings(self, columns: Columns, peer: Floats) -> NDArray[np.int8]:
        """Falling is bad news, staying is good news; if relative, falling behind the others is bad news."""
        if self.trend:
            return behind(columns[self.feature])
        now, before = rounded(columns[self.now]), rounded(self.before(columns))
        # Beyond the cap it rose, by how much is not known.
        change = np.where(np.isnan(before), 1.0, now - before)
        unknown = np.isnan(columns[self.feature])
        return np.where(unknown, 0, np.where(change < 0, 1, -1)).astype(np.int8)

    def words(self, columns: Columns, peer: Floats, peers: Texts) -> Texts:
        """Say from what to what it changed."""
        now, before = rounded(columns[self.now]), rounded(self.before(columns))
        verb = np.where(now < before, "fell", "rose").astype(object)
        moved: Texts = (
            f"{self.subject} "
            + verb
            + " from "
            + show(before)
            + " to "
            + show(now)
            + f"{self.unit} {self.span}"
        )
        stayed: Texts = f"{self.subject} stayed at " + show(now) + f"{self.unit} {self.span}"
        capped: Texts = f"{self.subject} rose at least tenfold {self.span}, to " + show(now) + self.unit
        text = np.where(now == before, stayed, np.where(np.isnan(before), capped, moved))
        if self.trend:
            text = text + than_others(columns[self.feature])
        text = np.where(np.isnan(columns[self.feature]), self.missing, text)
        return compared(text, peer, peers, f"{{}}{self.unit}")


@dataclass(frozen=True)
class Trend(Template):
    """A ratio of now to before whose terms are not in the row.

    Attributes
    ----------
    trend : str, optional
        As for :class:`Change`.
    """

    subject: str
    span: str
    missing: str
    trend: str | None = None

    @property
    def needs(self) -> tuple[str, ...]:
        """The feature, and the trend behind a relative one."""
        return (self.feature, *([self.trend] if self.trend else []))

    def usual(self, columns: Columns, peers: Peers) -> Floats:
        """Median of the ratio that is told."""
        return peers.medians(columns[self.trend or self.feature])

    def readings(self, columns: Columns, peer: Floats) -> NDArray[np.int8]:
        """Falling is bad news; if relative, falling behind the others is."""
        return behind(columns[self.feature])

    def words(self, columns: Columns, peer: Floats, peers: Texts) -> Texts:
        """Say which way it went, and the ratio."""
        value = rounded(columns[self.trend or self.feature], 2)
        verb = np.where(value < 1, "fell", np.where(value > 1, "rose", "was steady")).astype(object)
        text: Texts = (
            f"{self.subject} " + verb + f" {self.span} (trend " + show(value, 2) + ", steady would be 1)"
        )
        if self.trend:
            text = text + than_others(columns[self.feature])
        return compared(np.where(np.isnan(value), self.missing, text), peer, peers, digits=2)


def behind(ratio: Floats) -> NDArray[np.int8]:
    """How a ratio reads of which 1 is the mark: bad news below, good news from there on."""
    shown = rounded(ratio, 2)
    return np.where(np.isnan(shown), 0, np.where(shown < 1, 1, -1)).astype(np.int8)


def than_others(relative: Floats) -> Texts:
    """What a trend relative to the median account's means."""
    shown = rounded(relative, 2)
    worse, better = ", worse than at the median account", ", better than at the median account"
    return np.where(shown < 1, worse, np.where(shown > 1, better, ", as at the median account")).astype(
        object
    )


@dataclass(frozen=True)
class Flag(Template):
    """Yes or no, next to the share of peers with the same answer."""

    yes: str
    no: str
    missing: str = "not known"
    worse: int = 0

    def usual(self, columns: Columns, peers: Peers) -> Floats:
        """Share of the peers with the same answer."""
        return peers.shares_alike(columns[self.feature])

    def readings(self, columns: Columns, peer: Floats) -> NDArray[np.int8]:
        """Yes (or no) is bad news."""
        value = columns[self.feature]
        return np.where(np.isnan(value), 0, np.where(value > 0, self.worse, -self.worse)).astype(np.int8)

    def words(self, columns: Columns, peer: Floats, peers: Texts) -> Texts:
        """Say which, and how many of the peers are alike."""
        value = columns[self.feature]
        text = np.where(np.isnan(value), self.missing, np.where(value > 0, self.yes, self.no)).astype(object)
        return compared(text, peer * 100, peers, "{} % alike")


@dataclass(frozen=True)
class Category(Template):
    """A word, next to the share of peers with the same word."""

    label: str

    def usual(self, columns: Columns, peers: Peers) -> Floats:
        """Share of the peers with the same word."""
        return peers.shares_alike(columns[self.feature])

    def words(self, columns: Columns, peer: Floats, peers: Texts) -> Texts:
        """Name the category."""
        codes, distinct = pd.factorize(columns[self.feature], use_na_sentinel=False)
        names = ["not known" if pd.isna(name) else shorten(str(name)) for name in distinct.tolist()]
        text = np.array([f"{self.label}: {name}" for name in names], dtype=object)[codes]
        return compared(text, peer * 100, peers, "{} % alike")


def shorten(word: str) -> str:
    """Cut a word that would not fit a sentence."""
    return word if len(word) <= _WORD else word[: _WORD - 1] + "…"


def earlier(feature: str, now: str, added: float) -> Callable[[Columns], Floats]:
    """Number before, from a trend ``(now + added) / (before + added)``; NaN at the cap or if null."""

    def before(columns: Columns) -> Floats:
        trend = columns[feature]
        known = np.where((trend > 0) & (trend < TREND_CAP), trend, np.nan)
        return np.asarray(np.maximum(np.round((columns[now] + added) / known - added), 0.0))

    return before


def without_change(now: str, change: str) -> Callable[[Columns], Floats]:
    """Number before, from the number now and its change."""
    return lambda columns: np.asarray(columns[now] - columns[change], dtype=np.float64)
