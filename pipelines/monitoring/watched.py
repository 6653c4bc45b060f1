"""What a use case has watched, and the words in which its findings speak of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Watched:
    """Declaration of a use case to the checks.

    Attributes
    ----------
    usecase
        Its name.
    subject
        Column that tells whom or what a row is about.
    subjects
        These in words, for instance ``customers``.
    segments
        Columns whose values are compared separately.
    whole
        All rows together, in words.
    outcome
        What happened to those whose label is true, in words; empty without labels.
    counts_missing
        Whether missing values are a bin of their own, so that a feature that is missing more often has moved.
    """

    usecase: str
    subject: str
    subjects: str
    segments: tuple[str, ...] = ()
    whole: str = "all rows together"
    outcome: str = ""
    counts_missing: bool = True
