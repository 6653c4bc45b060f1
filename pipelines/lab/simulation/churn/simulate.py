"""The weekly loop: from a population to its trajectory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.lab.simulation.churn.contracts import Contracts
from pipelines.lab.simulation.churn.engagement import Latents
from pipelines.lab.simulation.churn.population import Population
from pipelines.lab.simulation.churn.support import Support
from pipelines.lab.simulation.days import to_date

Arrays = dict[str, NDArray[np.generic]]


@dataclass(frozen=True)
class Trajectory:
    """What happened in one block; latent arrays have shape ``(weeks, accounts)``.

    Attributes
    ----------
    begin
        First day of week 0, a Monday.
    state, since_week, x, cash, level
        Latents in each week, as in :class:`~pipelines.lab.simulation.churn.engagement.Latents`.
    first_day, last_day
        Days of the week (0..6) between which the account is a customer; ``last_day < first_day``
        if it is not.
    terms, tickets
        Records of the contracts and of support.
    """

    begin: int
    state: NDArray[np.int8]
    since_week: NDArray[np.int16]
    x: NDArray[np.float32]
    cash: NDArray[np.bool_]
    level: NDArray[np.float32]
    first_day: NDArray[np.int8]
    last_day: NDArray[np.int8]
    terms: Arrays
    tickets: Arrays

    @property
    def weeks(self) -> int:
        """Number of weeks simulated."""
        return len(self.state)


def simulate(
    rng: np.random.Generator, people: Population, incidents: NDArray[np.float64], *, begin: int
) -> Trajectory:
    """Let the accounts live through the weeks of ``incidents``."""
    weeks, n = len(incidents), len(people)
    latents = Latents(people)
    contracts = Contracts(people, begin)
    support = Support(latents)
    state = np.zeros((weeks, n), dtype=np.int8)
    since_week = np.zeros((weeks, n), dtype=np.int16)
    x, level = (np.zeros((weeks, n), dtype=np.float32) for _ in range(2))
    cash = np.zeros((weeks, n), dtype=bool)
    first_day, last_day = np.zeros((weeks, n), dtype=np.int8), np.full((weeks, n), -1, dtype=np.int8)

    for week in range(weeks):
        monday = begin + 7 * week
        sunday = monday + 6
        entered = contracts.enter(rng, sunday)
        if week > 0:
            latents.welcome(entered, week)
        who = np.flatnonzero((contracts.stint_start <= sunday) & (contracts.gone_day > monday))
        latents.step(
            rng,
            who,
            week,
            annual=contracts.annual[who],
            timing=contracts.decision_timing(who, monday),
            quiet=_holiday_week(monday),
        )
        contracts.review(rng, latents, week, sunday)
        contracts.roll_over(rng, latents, sunday)
        first = np.maximum(contracts.stint_start[who] - monday, 0)
        last = np.minimum(contracts.gone_day[who] - 1 - monday, 6)
        support.step(rng, who, week, monday, float(incidents[week]), np.where(last >= first, last, -1))
        state[week], since_week[week] = latents.state, latents.since_week
        x[week], cash[week], level[week] = latents.x, latents.cash, latents.level
        first_day[week, who], last_day[week, who] = first, last
    return Trajectory(
        begin, state, since_week, x, cash, level, first_day, last_day, contracts.terms(), support.tickets()
    )


def _holiday_week(monday: int) -> bool:
    """Whether a week lies in August or at the turn of the year."""
    day = to_date(monday)
    return day.month == 8 or (day.month == 12 and day.day >= 18)
