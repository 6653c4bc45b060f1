"""Who banks here: people of a segment, with needs of their own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.lab.simulation.days import Floats, Ints
from pipelines.lab.simulation.propensity.products import NEEDS

Singles = NDArray[np.float32]

SEGMENTS = ("student", "starter", "family", "affluent", "retired", "self_employed")
_SHARE = (0.13, 0.20, 0.25, 0.11, 0.23, 0.08)
_AGE = ((21, 2.5), (29, 4), (39, 6), (50, 9), (69, 7), (44, 9))
#: Net income per month, median, and its spread on the log scale.
_INCOME = ((750, 0.35), (2_100, 0.3), (2_600, 0.35), (5_200, 0.4), (1_700, 0.35), (3_000, 0.6))
_PEOPLE = (1.2, 1.5, 3.3, 2.4, 1.7, 2.4)
#: Mean needs by segment; columns as in ``NEEDS``.
_NEEDS = np.array(
    [
        [0.2, -0.5, -1.2, -1.5, -1.0, 0.2, -2.0, 1.2],
        [0.4, 0.0, 0.1, 0.2, 0.0, 0.4, -1.2, 0.8],
        [0.2, 0.4, -0.1, 1.0, 0.9, 0.5, -1.0, 0.1],
        [0.5, 0.4, 1.5, 0.5, 0.4, -0.9, -0.6, 0.2],
        [-0.2, 0.9, 0.0, -0.9, -0.2, -0.9, -2.0, -1.1],
        [0.4, 0.0, 0.4, 0.3, 0.3, 0.4, 1.5, 0.4],
    ]
)
_NEED_SPREAD = 0.85
_REGIONS = ("north", "east", "south", "west", "centre")
REGIONS = np.array(_REGIONS)


@dataclass(frozen=True)
class People:
    """A block of ``n`` people.

    Attributes
    ----------
    number
        From 1.
    segment
        Position in ``SEGMENTS``.
    needs : ndarray of shape (n, n_needs)
    born, joined, left
        Days; ``left`` is the day from which nothing is held any more.
    income
        Net income per month at first, in EUR.
    thrift
        Cash at hand, in months of income.
    household, region
        People in the household; position in ``REGIONS``.
    consents
        Whether offers may be made.
    """

    number: Ints
    segment: Ints
    needs: Singles
    born: Ints
    joined: Ints
    left: Ints
    income: Floats
    thrift: Floats
    household: Ints
    region: Ints
    consents: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.number)


def draw_people(rng: np.random.Generator, first: int, n: int, start: int, end: int) -> People:
    """Draw a block of people, numbered from ``first`` on."""
    segment = rng.choice(len(SEGMENTS), n, p=_SHARE).astype(np.int64)
    age, income = np.array(_AGE)[segment], np.array(_INCOME)[segment]
    years = np.clip(rng.normal(age[:, 0], age[:, 1]), 18.2, 92)
    born = start - (years * 365.25).astype(np.int64)
    # Most have been here for years; some come during the delivery.
    since = np.minimum(rng.exponential(7.0, n), years - 17.5) * 365
    new = rng.random(n) < 0.10
    joined = np.where(new, rng.integers(start, end - 40, n), start - 31 - since.astype(np.int64))
    return People(
        number=np.arange(first, first + n, dtype=np.int64),
        segment=segment,
        needs=(_NEEDS[segment] + rng.normal(0, _NEED_SPREAD, (n, len(NEEDS)))).astype(np.float32),
        born=born,
        joined=joined.astype(np.int64),
        left=(np.maximum(start, joined + 60) + rng.exponential(9_000, n)).astype(np.int64),
        income=income[:, 0] * np.exp(rng.normal(0, 1, n) * income[:, 1]),
        thrift=np.exp(rng.normal(0.0, 0.8, n)),
        household=1 + rng.poisson(np.array(_PEOPLE)[segment] - 1),
        region=rng.choice(len(_REGIONS), n, p=(0.2, 0.15, 0.25, 0.25, 0.15)),
        consents=rng.random(n) < 0.86,
    )
