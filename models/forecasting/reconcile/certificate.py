"""What holds of a reconciliation, computed from its result alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Largest relative gap of a clean certificate. Rounding leaves about 1e-13 after millions of additions.
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Certificate:
    """Evidence that forecasts are coherent and what their method promises.

    Attributes
    ----------
    method : str
    nonnegative : bool
        Whether negative values were ruled out.
    nodes, days : int
        Size of what was looked at.
    incoherence : float
        Largest difference of a node and the sum of its parts, in units of the forecasts.
    incoherence_relative : float
        The same as a share of the larger of the node and its parts' sizes.
    residual : float
        Largest distance from what the method promises, in units. Bottom-up: from the leaves' base forecasts.
        Top-down: from the children's shares, and from the base forecasts that stand. Least squares: how far
        a leaf would move by following its own slope down (not below zero, if that is ruled out), which is
        nowhere at the optimum.
    residual_relative : float
        The same as a share of the sizes of the terms that should cancel; for grouped hierarchies, as a share of
        the usual bottom series.
    negatives : int
        Negative values, of all nodes and days.
    lowest : float
        Smallest value.
    split_by_shares, split_evenly : int
        Parents with a value whose children's base forecasts sum to zero, counted over days: split by recent
        shares, or evenly over the leaves where these are missing too.
    ok : bool
        Finite, coherent, as promised, and without negatives where they are ruled out.
    words : str
        The same in words.
    """

    method: str
    nonnegative: bool
    nodes: int
    days: int
    incoherence: float
    incoherence_relative: float
    residual: float
    residual_relative: float
    negatives: int
    lowest: float
    split_by_shares: int
    split_evenly: int
    ok: bool
    words: str


@dataclass
class Worst:
    """Largest absolute and relative gap so far, and where the latter was."""

    gap: float = 0.0
    relative: float = 0.0
    place: str = ""

    def see(self, gap: Floats, size: Floats | float, place: Callable[[int], str]) -> None:
        """Take in the gap of each node; ``size`` is what it is measured against."""
        with np.errstate(over="ignore", invalid="ignore"):
            relative = gap / np.maximum(size, np.finfo(np.float64).tiny)
        at = int(relative.argmax())
        self.gap = max(self.gap, float(gap.max()))
        if relative[at] > self.relative:
            self.relative, self.place = float(relative[at]), place(at)


class Audit:
    """Collects what is found day by day.

    Parameters
    ----------
    method, nonnegative
        As in :class:`Certificate`.
    name : callable
        Name of a node for the words.
    tolerance : float
        Largest relative residual that passes.
    """

    def __init__(
        self, method: str, *, nonnegative: bool, name: Callable[[int], str], tolerance: float = TOLERANCE
    ) -> None:
        self.method, self.nonnegative, self.tolerance = method, nonnegative, tolerance
        self.coherence, self.promise = Worst(), Worst()
        self._name = name
        self._nodes = self._days = self._negatives = self._infinite = 0
        self._lowest = np.inf
        self._split = {"recent shares": 0, "equal parts": 0}
        self._example = ""

    def place(self, node: int) -> str:
        """Name of a node on the day that is being looked at."""
        return f"{self._name(node)}, step {self._days}"

    def day(self, values: Floats) -> None:
        """Take in the values of all nodes on the next day; gaps seen afterwards are of this day."""
        self._nodes = len(values)
        self._days += 1
        lowest = float(values.min())
        self._lowest = min(self._lowest, lowest)
        if not np.isfinite(values.sum()):
            self._infinite += int((~np.isfinite(values)).sum())
        if not lowest >= 0:
            self._negatives += int((values < 0).sum())

    def split(self, by_shares: NDArray[Any], evenly: NDArray[Any]) -> None:
        """Take in the parents that could not be split by their children's base forecasts."""
        self._split["recent shares"] += len(by_shares)
        self._split["equal parts"] += len(evenly)
        if len(evenly) and not self._example:
            self._example = self.place(int(evenly[0]))

    def finish(self) -> Certificate:
        """Judge what was seen."""
        breaches = [
            (self._infinite > 0, f"{self._infinite} values are not finite"),
            (not self.coherence.relative <= TOLERANCE, f"incoherent at {self.coherence.place}"),
            (not self.promise.relative <= self.tolerance, f"not as promised at {self.promise.place}"),
            (self.nonnegative and self._negatives > 0, f"{self._negatives} values are negative"),
        ]
        broken = [words for breach, words in breaches if breach]
        return Certificate(
            method=self.method,
            nonnegative=self.nonnegative,
            nodes=self._nodes,
            days=self._days,
            incoherence=self.coherence.gap,
            incoherence_relative=self.coherence.relative,
            residual=self.promise.gap,
            residual_relative=self.promise.relative,
            negatives=self._negatives,
            lowest=self._lowest,
            split_by_shares=self._split["recent shares"],
            split_evenly=self._split["equal parts"],
            ok=not broken,
            words=self._words(broken),
        )

    def _words(self, broken: list[str]) -> str:
        words = [f"Breach: {'; '.join(broken)}." if broken else "Coherent and as promised."]
        words.append(
            f"{self.method} over {self._nodes:,} nodes and {self._days} days: sums agree to "
            f"{self.coherence.gap:.1e} units ({self.coherence.relative:.1e} of the sums), the method's promise "
            f"is kept to {self.promise.gap:.1e} units ({self.promise.relative:.1e} of what it is measured by), "
            f"{self._negatives:,} values are negative."
        )
        for how, count in self._split.items():
            if count:
                words.append(
                    f"{count:,} times the forecasts below a node summed to zero: split by {how}"
                    + (f" (first {self._example})." if how == "equal parts" else ".")
                )
        return " ".join(words)
