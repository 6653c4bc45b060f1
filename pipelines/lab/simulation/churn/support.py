"""Support: incidents and frustration bring tickets, and how they are handled moves satisfaction."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.lab.simulation.churn.engagement import Latents, State
from pipelines.lab.simulation.churn.rates import RATES
from pipelines.lab.simulation.days import DAY_US, Floats, Ints
from pipelines.lab.simulation.identifiers import identifiers
from pipelines.usecases.churn.layouts import TICKET_KINDS, TICKET_PRIORITIES, TICKET_STATUSES

_HOUR = 3_600_000_000
_KIND = {
    "normal": np.array([0.22, 0.03, 0.12, 0.43, 0.13, 0.07]),
    "unhappy": np.array([0.33, 0.07, 0.28, 0.17, 0.09, 0.06]),
    "incident": np.array([0.35, 0.60, 0.00, 0.05, 0.00, 0.00]),
}
_PRIORITY = {False: np.array([0.28, 0.52, 0.15, 0.05]), True: np.array([0.10, 0.45, 0.30, 0.15])}


def draw_incidents(rng: np.random.Generator, weeks: int) -> Floats:
    """Share of the accounts hit by a product incident, by week; the same for all blocks."""
    reach = rng.uniform(0.3, 1.7, weeks) * RATES.incident_reach
    return np.where(rng.random(weeks) < RATES.incidents, reach, 0.0)


class Support:
    """Tickets of a block, week by week."""

    def __init__(self, latents: Latents) -> None:
        self._latents = latents
        self._tickets: list[dict[str, NDArray[np.generic]]] = []

    def step(
        self, rng: np.random.Generator, who: Ints, week: int, monday: int, hit_share: float, last_day: Ints
    ) -> None:
        """Open this week's tickets of the accounts ``who`` and let them act on satisfaction.

        Parameters
        ----------
        hit_share
            Share of accounts that this week's incident hits.
        last_day
            Last day of the week (0..6) on which each account is a customer; negative if none.
        """
        latents = self._latents
        state = latents.state[who]
        size = (latents.people.employees[who] / 25.0) ** 0.2
        age = week - latents.since_week[who]
        rate = RATES.tickets * size
        rate = np.select(
            [
                state == State.ONBOARDING,
                state == State.DRIFTING,
                state == State.LEAVING,
                state == State.CLOSED,
            ],
            [
                rate * RATES.tickets_onboarding,
                rate * RATES.tickets_drifting,
                # Exports, last bills, contract questions: until the migration is over.
                np.where(age < 10, RATES.tickets_leaving * np.sqrt(size), 0.02),
                0.0 * rate,
            ],
            rate * np.exp(-0.3 * latents.satisfaction[who]),
        )
        hit = (rng.random(len(who)) < hit_share) & (state != State.CLOSED)
        own = rng.poisson(rate)
        from_hit = hit & (rng.random(len(who)) < 0.35)
        count = np.where(last_day >= 0, np.minimum(own + from_hit, 6), 0)
        ticket = np.repeat(np.arange(len(who)), count)
        first = np.r_[True, ticket[1:] != ticket[:-1]] if len(ticket) else np.zeros(0, dtype=bool)
        incident = first & from_hit[ticket]
        n = len(ticket)
        unhappy = np.isin(state[ticket], (State.DRIFTING, State.LEAVING))
        day = np.minimum(rng.choice(7, n, p=[0.22, 0.2, 0.19, 0.18, 0.16, 0.03, 0.02]), last_day[ticket])
        opened = (monday + day) * DAY_US + rng.integers(6 * 3600, 21 * 3600, n) * 1_000_000
        kind = _draw(rng, incident, _KIND["incident"], unhappy, _KIND["unhappy"], _KIND["normal"])
        priority = _draw(rng, incident | unhappy, _PRIORITY[True], unhappy, _PRIORITY[True], _PRIORITY[False])
        # How well the ticket is handled; the agent's work is the luck of the draw.
        quality = rng.normal(0.15, 0.8, n) - 0.5 * incident
        hours = np.exp(rng.normal(2.6 - 0.35 * priority - 0.45 * quality, 0.7, n)) + 0.3
        mood = latents.satisfaction[who][ticket] - 1.6 * (state[ticket] == State.LEAVING)
        mood -= 0.45 * (state[ticket] == State.DRIFTING)
        csat = np.clip(np.round(3.75 + 0.75 * mood + 0.8 * quality + rng.normal(0, 0.55, n)), 1, 5)
        answered = rng.random(n) < 0.45
        # Experience feeds back into satisfaction, and through it into the relationship.
        experience = np.bincount(ticket, weights=0.28 * (quality - 0.15), minlength=len(who))
        latents.satisfaction[who] = np.clip(latents.satisfaction[who] + experience - 0.10 * hit, -3.0, 2.0)
        self._tickets.append(
            {
                "who": who[ticket],
                "opened": opened,
                "kind": kind,
                "priority": priority,
                "closed": opened + (hours * _HOUR).astype(np.int64),
                "csat": np.where(answered, csat, 0).astype(np.int64),
                "answer_us": (rng.exponential(14.0, n) * _HOUR).astype(np.int64) + 600_000_000,
                "record_us": rng.integers(20, 900, n) * 1_000_000,
            }
        )

    def tickets(self) -> dict[str, NDArray[np.generic]]:
        """All tickets so far, as arrays of equal length."""
        return {name: np.concatenate([part[name] for part in self._tickets]) for name in self._tickets[0]}


def _draw(
    rng: np.random.Generator,
    first: NDArray[np.bool_],
    p_first: Floats,
    second: NDArray[np.bool_],
    p_second: Floats,
    p_else: Floats,
) -> Ints:
    """Draw codes from one of three distributions."""
    u = rng.random(len(first))
    codes = [np.searchsorted(np.cumsum(p)[:-1], u, side="right") for p in (p_first, p_second, p_else)]
    return np.where(first, codes[0], np.where(second, codes[1], codes[2]))


def tickets_table(
    tickets: dict[str, NDArray[np.generic]], ids: pa.Array, numbers: Ints, *, start: int
) -> pa.Table:
    """Rows of the layout ``support_tickets``: opened, closed and, if answered, rated."""
    order = np.lexsort((tickets["opened"], tickets["who"]))
    t = {name: values[order].astype(np.int64) for name, values in tickets.items()}
    keep = t["opened"] >= start * DAY_US
    t = {name: values[keep] for name, values in t.items()}
    n = len(t["who"])
    first = np.searchsorted(t["who"], np.arange(len(numbers)))
    rank = np.arange(n) - first[t["who"]]
    name = identifiers("K", numbers[t["who"]] * 1000 + rank, 12)
    answered = t["csat"] > 0
    row = np.concatenate([np.arange(n), np.arange(n), np.flatnonzero(answered)])
    version = np.repeat([0, 1, 2], [n, n, int(answered.sum())])
    known = np.select(
        [version == 0, version == 1],
        [t["opened"][row] + t["record_us"][row], t["closed"][row] + t["record_us"][row]],
        t["closed"][row] + t["record_us"][row] + t["answer_us"][row],
    )
    order = np.lexsort((version, row))
    row, version, known = row[order], version[order], known[order]
    return pa.table(
        {
            "ticket_id": name.take(pa.array(row)),
            "account_id": ids.take(pa.array(t["who"][row])),
            "opened_at": pa.array(t["opened"][row].astype("datetime64[us]")),
            "kind": pa.array(TICKET_KINDS).take(pa.array(t["kind"][row])),
            "priority": pa.array(TICKET_PRIORITIES).take(pa.array(t["priority"][row])),
            "status": pa.array(TICKET_STATUSES).take(pa.array((version > 0).astype(np.int64))),
            "closed_at": pa.array(t["closed"][row].astype("datetime64[us]"), mask=version == 0),
            "csat": pa.array(t["csat"][row], mask=version < 2),
            "known_at": pa.array(known.astype("datetime64[us]")),
        }
    )
