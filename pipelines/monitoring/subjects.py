"""Whom or what the rows of a use case are about, for the checks and the words of their findings."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Subjects:
    """What a use case declares to the checks of scores and features.

    Attributes
    ----------
    column
        Column that tells whom or what a row is about.
    noun
        Several of them in words, for instance ``customers``.
    segments
        Columns whose values are compared separately.
    whole
        All rows together, in words.
    outcome
        What happened to those whose label is true, in words; empty without labels.
    counts_missing
        Whether missing values are a bin of their own, so that a feature that is missing more often has moved.
    """

    column: str
    noun: str
    segments: tuple[str, ...] = ()
    whole: str = "all rows together"
    outcome: str = ""
    counts_missing: bool = True
