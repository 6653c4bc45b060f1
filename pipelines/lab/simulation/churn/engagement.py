"""The latent life of every account: relationship state, satisfaction, cash stress, level of use."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from pipelines.lab.simulation.churn.population import Population
from pipelines.lab.simulation.churn.rates import RATES
from pipelines.lab.simulation.days import Floats, Ints


class State(IntEnum):
    """Where a relationship stands."""

    ONBOARDING = 0
    HEALTHY = 1
    DRIFTING = 2
    LEAVING = 3
    CLOSED = 4


def transitions(x: Floats, timing: Floats | float = 1.0) -> dict[tuple[State, State], Floats]:
    """Weekly probabilities to change state; closure, the same for all, comes on top.

    Parameters
    ----------
    x
        Log hazard of trouble of each account.
    timing
        Factor on decisions to leave: they are taken when the last day to give notice comes near.
    """
    up, half = np.exp(x), np.exp(0.5 * x)
    S = State
    return {
        (S.ONBOARDING, S.HEALTHY): np.full_like(x, RATES.onboarded),
        (S.ONBOARDING, S.DRIFTING): np.minimum(RATES.onboarding_drift * up, 0.2),
        (S.ONBOARDING, S.LEAVING): np.minimum(RATES.onboarding_leave * up * timing, 0.3),
        (S.HEALTHY, S.DRIFTING): np.minimum(RATES.drift * up, 0.3),
        (S.HEALTHY, S.LEAVING): np.minimum(RATES.leave_at_once * up * timing, 0.3),
        (S.DRIFTING, S.LEAVING): np.minimum(RATES.drift_leave * half * timing, 0.5),
        (S.DRIFTING, S.HEALTHY): np.minimum(RATES.drift_heal / half, 0.4),
        (S.LEAVING, S.DRIFTING): np.full_like(x, RATES.rescue),
    }


class Latents:
    """Current latent state of every account of a block; arrays have shape ``(accounts,)``.

    Attributes
    ----------
    state, since_week
        Relationship state and the week in which it began.
    x
        Log hazard of trouble: frailty, dissatisfaction, cash stress, commitment.
    satisfaction
        0 is neutral; moved by tickets.
    cash
        Whether the company is short of money.
    level
        Log of use relative to the account's habit.
    """

    def __init__(self, people: Population) -> None:
        n = len(people)
        self.people = people
        self.state: NDArray[np.int8] = np.full(n, State.HEALTHY, dtype=np.int8)
        self.since_week: Ints = np.zeros(n, dtype=np.int64)
        self.x: Floats = np.zeros(n)
        self.satisfaction: Floats = np.zeros(n)
        self.cash: NDArray[np.bool_] = np.zeros(n, dtype=bool)
        self.trend: Floats = np.zeros(n)
        self.noise: Floats = np.zeros(n)
        self.pause_left: Ints = np.zeros(n, dtype=np.int64)
        self.level: Floats = np.zeros(n)

    def welcome(self, who: Ints, week: int) -> None:
        """Begin (or begin again) the relationship of the accounts ``who``."""
        self.state[who] = State.ONBOARDING
        self.since_week[who] = week
        self.satisfaction[who] = 0.0
        self.cash[who] = False
        self.trend[who] = -0.7

    def step(
        self,
        rng: np.random.Generator,
        who: Ints,
        week: int,
        *,
        annual: NDArray[np.bool_],
        timing: Floats,
        quiet: bool,
    ) -> None:
        """Move the accounts ``who`` into a week.

        Parameters
        ----------
        annual
            Whether the running term is annual, for the accounts ``who``.
        timing
            Factor on decisions to leave, for the accounts ``who``.
        quiet
            Whether it is holiday time, when small companies close for a week or two.
        """
        n, people = len(who), self.people
        self._money(rng, who)
        self.satisfaction[who] = 0.94 * self.satisfaction[who] + rng.normal(0, 0.05, n)
        self.x[who] = (
            people.frailty[who]
            - 0.55 * self.satisfaction[who]
            + 0.5 * self.cash[who]
            - RATES.annual_calm * annual
        )
        self._relationship(rng, who, week, timing)
        self._use(rng, who, week, quiet)

    def _money(self, rng: np.random.Generator, who: Ints) -> None:
        draw = rng.random(len(who))
        short = self.cash[who]
        self.cash[who] = np.where(short, draw >= RATES.cash_leave, draw < RATES.cash_enter)

    def _relationship(self, rng: np.random.Generator, who: Ints, week: int, timing: Floats) -> None:
        before = self.state[who]
        after = before.copy()
        draw, closing = rng.random(len(who)), rng.random(len(who)) < RATES.closure
        spent = np.zeros(len(who))
        for (source, target), probability in transitions(self.x[who], timing).items():
            here = before == source
            after[here & (draw >= spent) & (draw < spent + probability)] = target
            spent += np.where(here, probability, 0.0)
        after[closing] = State.CLOSED
        after[before == State.CLOSED] = State.CLOSED
        self.since_week[who] = np.where(after != before, week, self.since_week[who])
        self.state[who] = after

    def _use(self, rng: np.random.Generator, who: Ints, week: int, quiet: bool) -> None:
        n, people, state = len(who), self.people, self.state[who]
        trend = self.trend[who]
        # A migration starts with a few users and ends with all of them.
        haste = 0.7 + 0.1 * (week - self.since_week[who])
        trend = np.select(
            [state == State.LEAVING, state == State.DRIFTING, state == State.CLOSED],
            [trend - people.leave_slope[who] * haste, trend - RATES.drift_slope, trend - 4.0],
            # Habits return; new users of a new customer take some weeks more.
            trend * (1.0 - np.where(state == State.ONBOARDING, 0.20, RATES.recovery)),
        )
        self.trend[who] = np.clip(trend, -6.0, 0.5)
        self.noise[who] = RATES.noise_memory * self.noise[who] + rng.normal(0, RATES.noise_sd, n)
        small = people.employees[who] < 15
        rate = RATES.pause * np.where(small, 2.0, 0.2) * (6.0 if quiet else 1.0)
        begins = (rng.random(n) < rate) & (self.pause_left[who] == 0)
        length = rng.integers(1, 3, n)
        left = np.where(begins, length, np.maximum(self.pause_left[who] - 1, 0))
        self.pause_left[who] = left
        self.level[who] = self.trend[who] + self.noise[who] - 3.0 * (left > 0)
