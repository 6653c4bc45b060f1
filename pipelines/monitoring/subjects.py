"""Whom or what the rows of a use case are about, for the checks and the words of their findings."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Subjects:
    """What a use case declares to the checks of scores and features."""

    #: Column that tells whom or what a row is about.
    column: str
    #: Several of them in words, for instance ``customers``.
    noun: str
    #: Columns whose values are compared separately.
    segments: tuple[str, ...] = ()
    #: All rows together, in words.
    whole: str = "all rows together"
    #: What happened to those whose label is true, in words; empty without labels.
    outcome: str = ""
    #: Whether missing values are a bin of their own, so that a feature that is missing more often has moved.
    counts_missing: bool = True
