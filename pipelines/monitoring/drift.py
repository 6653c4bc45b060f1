"""How far a distribution has moved, and how far it moves by chance.

**The shift** of a variable is the total variation distance between this week's bin shares *p* and
the reference's *q*: ``sum(|p - q|) / 2``. It is the share of rows that would have to change bin
to restore the reference, so "the scores shifted by more than 15 %" reads as it is meant: more than
15 rows in 100 sit in another tenth of the ranking than the model was validated on.
It lies in [0, 1], needs no smoothing of empty bins and, unlike a test's p-value, does not call a
difference of no importance an alarm merely because there are many rows.

**Chance** moves it too: with 10 bins, about 0.01 for 15,000 rows but 0.05 for 500 and 0.12
for a segment of 100. A shift is an alarm only if it exceeds the limit *and* the quantile that
sampling alone reaches with the stated false-alarm rate.

The population stability index is computed from the same bins for those who are used to it; it is
shown and never judged, so two numbers cannot disagree about whether there is an alarm.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

#: Draws of the sampling noise; resolves quantiles up to about 1 - 1e-4.
_DRAWS = 40_000


@dataclass(frozen=True)
class Shift:
    """Distance between a week and its reference, with what chance explains."""

    #: Total variation distance, share of rows in [0, 1].
    value: float
    #: Larger of the limit asked for and of the sampling noise at the false-alarm rate.
    threshold: float
    #: Distance to be expected from sampling alone.
    noise: float
    #: Population stability index.
    psi: float
    #: Rows of this week.
    rows: int

    @property
    def is_alarm(self) -> bool:
        """Whether the distance is both important and not chance."""
        return self.value > self.threshold

    @property
    def excess(self) -> float:
        """Distance beyond what sampling explains: ranks segments of different sizes fairly."""
        return self.value - self.noise


def total_variation(current: Counts, reference: Counts) -> float:
    """Total variation distance between two sets of bin counts, each of shape (k,)."""
    return float(np.abs(_shares(current) - _shares(reference)).sum() / 2)


def population_stability(current: Counts, reference: Counts) -> float:
    """Compute the population stability index, ``sum((p - q) * ln(p / q))``.

    Half a row is added to every bin (Jeffreys' prior), so an empty bin neither divides by zero nor
    makes the index depend on an arbitrary epsilon.
    """
    p, q = _shares(current + 0.5), _shares(reference + 0.5)
    return float(((p - q) * np.log(p / q)).sum())


def expected_noise(shares: FloatArray, rows: int, reference_rows: int) -> float:
    """Mean total variation distance between two samples of the same distribution.

    Every bin's difference is normal with variance ``p (1 - p) (1/n + 1/m)``; the mean of its
    absolute value is ``sqrt(2/pi)`` standard deviations.
    """
    scale = np.sqrt(1 / rows + 1 / reference_rows)
    return float(np.sqrt(2 / np.pi) * scale * np.sqrt(shares * (1 - shares)).sum() / 2)


def noise_quantile(shares: FloatArray, rows: int, reference_rows: int, false_alarm_rate: float) -> float:
    """Total variation distance that two samples of one distribution exceed at a rate in (0, 1), at least 1e-4.

    ``shares`` are the distribution's, shape (k,); rows are *independent* ones: distinct subjects, not their
    snapshots. A parametric bootstrap from the normal limit of the multinomial: the differences are drawn with
    covariance ``(diag(p) - p p') (1/n + 1/m)``. The draws have a fixed seed: the same data lead to the same
    verdict.
    """
    root = np.sqrt(shares)
    normal = _normal_draws(shares.size)
    centred = (normal - np.outer(normal @ root, root)) * root
    distance = np.abs(centred).sum(axis=1) / 2 * np.sqrt(1 / rows + 1 / reference_rows)
    return float(np.quantile(distance, 1 - max(false_alarm_rate, 1e-4)))


def measure_shift(
    current: Counts, reference: Counts, *, reference_subjects: int, max_shift: float, false_alarm_rate: float
) -> Shift:
    """Compare a week with its reference: rows per bin, each of shape (k,), neither empty.

    ``reference_subjects`` are the distinct subjects behind the reference's rows. ``max_shift`` is the distance
    that is important, in (0, 1). ``false_alarm_rate`` is the chance of an alarm by sampling alone; divide it by
    the number of comparisons of a run.
    """
    rows = int(current.sum())
    if rows == 0 or reference.sum() == 0:
        raise ValueError(f"both sides need rows, got {rows} and {int(reference.sum())}")
    # Under "no drift" both sides estimate the same shares: pool them.
    pooled = _shares(current + reference)
    value = total_variation(current, reference)
    threshold = max_shift
    if value > max_shift:  # the noise decides nothing below the limit
        noise = noise_quantile(pooled, rows, reference_subjects, false_alarm_rate)
        threshold = max(max_shift, noise)
    return Shift(
        value=value,
        threshold=threshold,
        noise=expected_noise(pooled, rows, reference_subjects),
        psi=population_stability(current, reference),
        rows=rows,
    )


@lru_cache(maxsize=4)
def _normal_draws(bins: int) -> FloatArray:
    return np.random.default_rng(20_130_613).standard_normal((_DRAWS, bins))


def _shares(counts: npt.NDArray[np.generic]) -> FloatArray:
    values: FloatArray = np.asarray(counts, dtype=np.float64)
    shares: FloatArray = values / values.sum()
    return shares
