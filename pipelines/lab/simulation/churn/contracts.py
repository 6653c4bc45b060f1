"""The contract calendar: terms, renewal decisions, late bookings, changes of plan, returns."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.lab.simulation.churn.calendar import NEVER, add_months, clip_to_28, year_end_pressure
from pipelines.lab.simulation.churn.engagement import Latents, State
from pipelines.lab.simulation.churn.population import Population
from pipelines.lab.simulation.churn.rates import RATES
from pipelines.lab.simulation.days import DAY_US, Floats, Ints
from pipelines.lab.simulation.identifiers import identifiers
from pipelines.usecases.churn.layouts import BILLING_PERIODS, PLAN_TIERS

_PRICE = np.array([19.0, 34.0, 55.0])
_OPEN, _IN_TIME, _LATE, _REFUSED = range(4)

#: P(lead = d) for d = 0, 1, 2...: days before the end of a term on which a renewal in time is booked.
LEAD_MONTHLY = np.array([0.0, 0.55, 0.20, 0.10, 0.10, 0.05])
LEAD_ANNUAL = np.concatenate([[0.0, 0.40], np.full(29, 0.60 / 29)])
#: P(delay = d): days after the end of a term on which a late renewal is booked.
_DELAY = np.concatenate([[0.0], 0.86 ** np.arange(RATES.late_days)])
DELAY = _DELAY / _DELAY.sum()


def refusal(
    state: NDArray[np.int8], annual: NDArray[np.bool_], notice_kept: NDArray[np.bool_], term_end: Ints
) -> Floats:
    """Probability to refuse a renewal, cash stress aside.

    Parameters
    ----------
    state
        Relationship state at the review.
    annual
        Whether the term that ends was annual.
    notice_kept
        Whether an account that has decided to leave did so ``notice_days`` before ``term_end``.
    """
    column = annual.astype(np.int64)
    by_state = np.array(
        [
            RATES.refuse_onboarding,
            RATES.refuse_healthy,
            RATES.refuse_drifting,
            RATES.refuse_young_leaver,
            (RATES.refuse_closed, RATES.refuse_closed),
        ]
    )
    p = by_state[state, column]
    soft = state != State.CLOSED
    p = np.where(soft, p * year_end_pressure(term_end), p)
    kept = (state == State.LEAVING) & notice_kept
    return np.where(kept, RATES.refuse_leaver, p)


def review_lead(annual: NDArray[np.bool_]) -> Ints:
    """Days between the decision about a renewal and the end of the term."""
    return np.where(annual, RATES.review_days[1], RATES.review_days[0])


class Contracts:
    """Running terms of a block, and the record of all terms there were."""

    def __init__(self, people: Population, begin: int) -> None:
        n = len(people)
        self.people = people
        self.begin = begin
        self.next_entry: Ints = people.entry_day.copy()
        self.stint_start: Ints = np.full(n, NEVER, dtype=np.int64)
        self.gone_day: Ints = np.full(n, NEVER, dtype=np.int64)
        self.tier: Ints = people.tier.copy()
        self.annual: NDArray[np.bool_] = people.annual.copy()
        self.trial: NDArray[np.bool_] = people.via_trial.copy()
        self.seats: Ints = people.seats.copy()
        self.term_start: Ints = np.full(n, NEVER, dtype=np.int64)
        self.term_end: Ints = np.full(n, NEVER, dtype=np.int64)
        self.review_day: Ints = np.full(n, NEVER, dtype=np.int64)
        self.outcome: NDArray[np.int8] = np.zeros(n, dtype=np.int8)
        self.booking_days: Ints = np.zeros(n, dtype=np.int64)
        self.contract: Ints = np.zeros(n, dtype=np.int64)
        self._terms: list[dict[str, NDArray[np.generic]]] = []

    def enter(self, rng: np.random.Generator, sunday: int) -> Ints:
        """Open first terms (and those after a return) that start up to ``sunday``."""
        who = np.flatnonzero(self.next_entry <= sunday)
        start = self.next_entry[who]
        self.next_entry[who] = NEVER
        self.stint_start[who], self.gone_day[who] = start, NEVER
        self.contract[who] += 1
        self.trial[who] &= self.contract[who] == 1
        # Recorded on the day of signature, which is the first day of a trial or of a return.
        ahead = np.where(self.contract[who] == 1, start - self.people.signed_up_day[who], 0)
        ahead = np.minimum(ahead, 10)
        self._open(rng, who, start, (start - ahead) * DAY_US + _working_time(rng, len(who)))
        return who

    def decision_timing(self, who: Ints, monday: int) -> Floats:
        """Factor on decisions to leave: high when the next chance to give notice is about to pass."""
        annual, end = self.annual[who], self.term_end[who]
        missed = end - monday < RATES.notice_days
        last_day = end + np.where(missed, np.where(annual, 365, 30), 0)
        slack = last_day - monday - RATES.notice_days
        near = slack < np.where(annual, *RATES.near_days)
        monthly, yearly = (np.where(near, *factors) for factors in RATES.timing)
        return np.where(annual, yearly, monthly)

    def review(self, rng: np.random.Generator, latents: Latents, week: int, sunday: int) -> None:
        """Decide about the renewals whose review falls in the week."""
        who = np.flatnonzero((self.review_day <= sunday) & (self.outcome == _OPEN) & (self.term_end < NEVER))
        n, annual, trial = len(who), self.annual[who], self.trial[who]
        decided_on = self.begin + 7 * latents.since_week[who]
        kept = self.term_end[who] - decided_on >= RATES.notice_days
        refuse = refusal(latents.state[who], annual & ~trial, kept, self.term_end[who])
        cash = latents.cash[who]
        refuse = 1 - (1 - refuse) * (1 - RATES.refuse_cash * cash)
        appeal = np.log(RATES.trial_conversion / (1 - RATES.trial_conversion)) + 0.9 * self.people.fit[who]
        refuse = np.where(trial, 1 / (1 + np.exp(appeal)), refuse)
        late = np.where(trial, 0.0, RATES.late + RATES.late_cash * cash)
        refused, is_late = rng.random(n) < refuse, rng.random(n) < late
        lead_monthly = rng.choice(len(LEAD_MONTHLY), n, p=LEAD_MONTHLY)
        lead_annual = rng.choice(len(LEAD_ANNUAL), n, p=LEAD_ANNUAL)
        lead = np.where(annual, lead_annual, lead_monthly)
        lead = np.where(trial, 1, lead)
        delay = rng.choice(len(DELAY), n, p=DELAY)
        self.outcome[who] = np.where(refused, _REFUSED, np.where(is_late, _LATE, _IN_TIME))
        self.booking_days[who] = np.where(is_late, delay, -lead)

    def roll_over(self, rng: np.random.Generator, latents: Latents, sunday: int) -> None:
        """End the terms that end in the week: renew them, or let the customer go."""
        ends = self.term_end <= sunday
        lost = np.flatnonzero(ends & (self.outcome == _REFUSED))
        self.gone_day[lost] = self.term_end[lost]
        returns = (rng.random(len(lost)) < RATES.reactivation) & ~self.trial[lost]
        returns &= latents.state[lost] != State.CLOSED
        back = clip_to_28(self.term_end[lost] + rng.integers(35, 240, len(lost)))
        self.next_entry[lost] = np.where(returns, back, NEVER)
        self.term_end[lost] = self.review_day[lost] = NEVER

        kept = np.flatnonzero(ends & (self.outcome != _REFUSED))
        start = self.term_end[kept]
        known = (start + self.booking_days[kept]) * DAY_US + _working_time(rng, len(kept))
        converted = self.trial[kept]
        self.trial[kept] = False
        self._change_plan(rng, kept[~converted], latents)
        self._open(rng, kept, start, known)

    def _change_plan(self, rng: np.random.Generator, who: Ints, latents: Latents) -> None:
        n = len(who)
        unhappy = np.isin(latents.state[who], (State.DRIFTING, State.LEAVING)) | latents.cash[who]
        draw = rng.random(n)
        down = draw < np.where(unhappy, 0.03, 0.003)
        up = (draw > 1 - np.where(unhappy, 0.001, 0.006)) & ~down
        self.tier[who] = np.clip(self.tier[who] + up.astype(np.int64) - down, 0, 2)
        moves = rng.random(n) < np.where(unhappy, 0.10, 0.07)
        factor = np.exp(rng.normal(np.where(unhappy, -0.25, 0.04), 0.15, n))
        seats = np.maximum(1, np.round(self.seats[who] * np.where(moves, factor, 1.0)))
        self.seats[who] = seats.astype(np.int64)
        # Steady monthly customers are offered the annual discount now and then.
        to_annual = ~self.annual[who] & ~unhappy & (rng.random(n) < 0.0010)
        self.annual[who] |= to_annual

    def _open(self, rng: np.random.Generator, who: Ints, start: Ints, known: Ints) -> None:
        annual, trial = self.annual[who], self.trial[who]
        regular = add_months(clip_to_28(start), np.where(annual, 12, 1))
        end = np.where(trial, start + RATES.trial_days, regular)
        lead = np.where(trial, 1, review_lead(annual))
        self.term_start[who], self.term_end[who] = start, end
        self.review_day[who] = end - lead
        self.outcome[who] = _OPEN
        price = _PRICE[self.tier[who]] * self.people.discount[who] * np.where(annual, 0.85, 1.0)
        mrr = np.where(trial, 0.0, np.round(self.seats[who] * price, 2))
        self._terms.append(
            {
                "who": who,
                "contract": self.contract[who],
                "tier": self.tier[who],
                "annual": annual & ~trial,
                "trial": trial,
                "seats": self.seats[who],
                "mrr": mrr,
                "start": start,
                "end": end,
                "known": known,
            }
        )

    def terms(self) -> dict[str, NDArray[np.generic]]:
        """All terms opened so far, as arrays of equal length in order of opening."""
        return {name: np.concatenate([part[name] for part in self._terms]) for name in self._terms[0]}


def _working_time(rng: np.random.Generator, n: int) -> Ints:
    """Microseconds after midnight, within the working day."""
    return rng.integers(7 * 3600, 20 * 3600, n) * 1_000_000


def subscriptions_table(terms: dict[str, NDArray[np.generic]], ids: pa.Array, numbers: Ints) -> pa.Table:
    """Rows of the layout ``subscriptions``, before those not yet known are dropped."""
    who, contract = terms["who"].astype(np.int64), terms["contract"].astype(np.int64)
    # Terms of an account are numbered in order, so ids do not depend on the order of simulation.
    order = np.lexsort((terms["start"], who))
    first = np.searchsorted(who[order], np.arange(len(numbers)))
    rank = np.empty(len(who), dtype=np.int64)
    rank[order] = np.arange(len(who)) - first[who[order]]
    return pa.table(
        {
            "term_id": identifiers("T", numbers[who] * 1000 + rank, 12),
            "account_id": ids.take(pa.array(who)),
            "subscription_id": identifiers("S", numbers[who] * 100 + contract, 11),
            "plan_tier": pa.array(PLAN_TIERS).take(pa.array(terms["tier"])),
            "billing_period": pa.array(BILLING_PERIODS).take(pa.array(terms["annual"].astype(np.int64))),
            "is_trial": pa.array(terms["trial"]),
            "seats": pa.array(terms["seats"]),
            "mrr_eur": pa.array(terms["mrr"]),
            "term_start": pa.array(terms["start"].astype("datetime64[D]")),
            "term_end": pa.array(terms["end"].astype("datetime64[D]")),
            "known_at": pa.array(terms["known"].astype("datetime64[us]")),
        }
    )
