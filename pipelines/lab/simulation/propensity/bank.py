"""Months at the bank: life goes on, products are taken and given up, campaigns are sent."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipelines.lab.simulation.days import Floats, Ints
from pipelines.lab.simulation.propensity.people import REGIONS, People
from pipelines.lab.simulation.propensity.products import (
    AGE,
    AGE_WIDTH,
    BALANCE,
    BASE,
    BY_EVENT,
    BY_HELD,
    BY_NEED,
    CASH,
    CLOSES,
    EVENTS,
    INCOME,
    N_PRODUCTS,
    NAMES,
)

Singles = NDArray[np.float32]
Flags = NDArray[np.bool_]

#: No product is likelier to be taken within a month than this.
_HIGHEST = 0.35
#: Part of the effect of an event, and of a contact, that is left a month later.
_EVENT_LASTS, _CONTACT_LASTS = 0.65, 0.5
#: Rise of the log-hazard after a contact, and after an interested answer.
_CONTACTED, _INTERESTED = 0.7, 1.6
#: Campaigns a month, and share of those without the product who are contacted.
_CAMPAIGNS, _REACH = 2, 0.12
_CHANNELS = ("letter", "phone", "email", "app")
CHANNELS = np.array(_CHANNELS)
#: Usual net income, for the effect of income.
_USUAL_INCOME = 2_300.0
BIRTH, MOVE, JOB, INHERITANCE, RETIREMENT, OWN_BUSINESS = range(len(EVENTS))


@dataclass(frozen=True)
class State:
    """Everything that moves the hazards, at the start of a month; arrays have a row per person.

    Attributes
    ----------
    held, opened
        Products, and the day on which each was taken.
    balance
        Balance of each product in EUR, negative if owed.
    events
        What is left of the effect of each event, 1 right after it.
    contacts
        Rise of the log-hazard of each product by campaigns.
    income, household, region, employment
        As they are; the bank knows some changes late or never.
    """

    held: Flags
    opened: NDArray[np.int32]
    balance: Singles
    events: Singles
    contacts: Singles
    income: Floats
    household: Ints
    region: Ints
    employment: Ints


@dataclass(frozen=True)
class Contacts:
    """Contacts of a month, in no order."""

    person: Ints
    product: Ints
    campaign: Ints
    channel: Ints
    day: Ints
    interested: Flags
    declined: Flags
    answered: Ints


def first_state(rng: np.random.Generator, people: People, start: int) -> State:
    """State at the start: what people took since they came, as the hazards have it, one product after the other."""
    n = len(people)
    here = people.joined < start
    months = np.maximum(start - people.joined, 0) / 30.4
    state = State(
        held=np.zeros((n, N_PRODUCTS), dtype=np.bool_),
        opened=np.zeros((n, N_PRODUCTS), dtype=np.int32),
        balance=np.zeros((n, N_PRODUCTS), dtype=np.float32),
        events=np.zeros((n, len(EVENTS)), dtype=np.float32),
        contacts=np.zeros((n, N_PRODUCTS), dtype=np.float32),
        income=people.income.copy(),
        household=people.household.copy(),
        region=people.region.copy(),
        employment=_EMPLOYMENT[people.segment].copy(),
    )
    for product in range(N_PRODUCTS):
        hazard = np.exp(log_hazard(people, state, start)[:, product])
        leaving = CLOSES[product]
        share = hazard / (hazard + leaving) * -np.expm1(-(hazard + leaving) * months)
        if product == 0:
            share = np.maximum(share, 0.96)
        took = here & (rng.random(n) < share)
        since = np.minimum(
            rng.exponential(1 / leaving, n) * 30.4, (start - 1 - people.joined) * rng.random(n) ** 0.7
        )
        state.held[:, product] = took
        state.opened[:, product] = np.where(took, start - 1 - since, 0).astype(np.int32)
        state.balance[:, product] = np.where(took, _first_balance(rng, people, state, product), 0)
    return state


def log_hazard(people: People, state: State, day: int) -> Singles:
    """Log of the chance to take each product within the month, shape (n, n_products), also of those held."""
    age = ((day - people.born) / 365.25).astype(np.float32)
    income = np.clip(np.log(state.income / _USUAL_INCOME), -1, 1).astype(np.float32)
    at_hand = np.maximum(state.balance, 0) @ _LIQUID
    cash = np.clip(np.log((at_hand + 500) / 5_000), -1.5, 1.5).astype(np.float32)
    out: Singles = BASE + people.needs @ BY_NEED
    out += state.held.astype(np.float32) @ BY_HELD
    out += state.events @ BY_EVENT
    out += state.contacts
    out += income[:, None] * INCOME
    out += cash[:, None] * CASH
    out -= np.minimum(((age[:, None] - AGE) / AGE_WIDTH) ** 2 / 2, np.float32(4))
    np.minimum(out, np.float32(np.log(_HIGHEST)), out=out)
    return out


def month(
    rng: np.random.Generator, people: People, state: State, first: int, days: int, number: int
) -> tuple[State, Flags, Flags, Contacts | None]:
    """Live through a month.

    Parameters
    ----------
    first, days
        First day, and days of the month.
    number
        Number of the month, which decides on the campaigns.

    Returns
    -------
    tuple
        State at the start of the next month, which products were taken, which events happened, and the contacts.
    """
    n = len(people)
    here = (people.joined < first + days) & (people.left >= first + days)
    chance = np.exp(log_hazard(people, state, first))
    # Whoever comes to the bank comes for an account.
    newly = here & (people.joined >= first)
    taken = (rng.random((n, N_PRODUCTS), dtype=np.float32) < chance) & ~state.held & here[:, None]
    taken[newly, 1:] &= rng.random((int(newly.sum()), N_PRODUCTS - 1)) < 0.5
    taken[newly, 0] = rng.random(int(newly.sum())) < 0.93
    closed = (rng.random((n, N_PRODUCTS), dtype=np.float32) < CLOSES) & state.held
    closed |= state.held & (people.left < first + days)[:, None]
    earliest = np.maximum(people.joined - first, 0)[:, None]
    day = (first + earliest + rng.random((n, N_PRODUCTS), dtype=np.float32) * (days - earliest)).astype(
        np.int32
    )
    held = (state.held & ~closed) | taken

    happened = _events(rng, people, state, first) & here[:, None]
    contacts = _campaign(rng, people, state, here, first, number)
    after = replace(
        state,
        held=held,
        opened=np.where(taken, day, state.opened),
        balance=_balances(rng, people, state, held, taken, happened),
        events=np.where(happened, np.float32(1), state.events * np.float32(_EVENT_LASTS)),
        contacts=_remembered(state, contacts),
        income=_incomes(rng, state, happened),
        household=state.household + happened[:, BIRTH],
        region=np.where(
            happened[:, MOVE] & (rng.random(n) < 0.4), rng.integers(0, len(REGIONS), n), state.region
        ),
        employment=_employed(state, happened),
    )
    return after, taken, happened, contacts


#: Employment of each segment, as positions in the layout's ``EMPLOYMENTS``.
_EMPLOYMENT = np.array([0, 1, 1, 1, 3, 2])
_RETIRED, _SELF_EMPLOYED = 3, 2
_LIQUID = np.isin(NAMES, ("current account", "savings account")).astype(np.float32)


def _events(rng: np.random.Generator, people: People, state: State, day: int) -> Flags:
    age = (day - people.born) / 365.25
    working = state.employment != _RETIRED
    chance = np.column_stack(
        [
            0.0085 * np.exp(-(((age - 32) / 5) ** 2)),
            0.0035 + 0.0075 * np.exp(-(((age - 31) / 8) ** 2)),
            np.where(working & (age < 60), 0.009, 0.0),
            0.0008 + 0.0022 * np.exp(-(((age - 56) / 10) ** 2)),
            np.where(working & (age > 60), 0.012 + 0.03 * (age > 65), 0.0),
            np.where(state.employment == _SELF_EMPLOYED, 0.0, 0.0009 * working),
        ]
    )
    return np.asarray(rng.random(chance.shape) < chance)


def _incomes(rng: np.random.Generator, state: State, happened: Flags) -> Floats:
    n = len(state.income)
    factor = np.exp(rng.normal(0.0012, 0.004, n))
    factor *= np.where(happened[:, JOB], rng.uniform(0.98, 1.45, n), 1)
    factor *= np.where(happened[:, RETIREMENT], rng.uniform(0.55, 0.75, n), 1)
    return np.asarray(state.income * factor)


def _employed(state: State, happened: Flags) -> Ints:
    employment = np.where(happened[:, JOB] & (state.employment != _SELF_EMPLOYED), 1, state.employment)
    employment = np.where(happened[:, OWN_BUSINESS], _SELF_EMPLOYED, employment)
    return np.where(happened[:, RETIREMENT], _RETIRED, employment)


def _first_balance(rng: np.random.Generator, people: People, state: State, product: int) -> Singles:
    scale = BALANCE[product] * state.income * np.exp(rng.normal(0, 0.5, len(people)))
    return np.asarray(scale * (people.thrift if BALANCE[product] > 0 else 1.0), dtype=np.float32)


def _balances(
    rng: np.random.Generator, people: People, state: State, held: Flags, taken: Flags, happened: Flags
) -> Singles:
    """Savings drift, loans are paid back, an inheritance lies on an account until it is put to use."""
    n = len(people)
    noise = np.float32(0.06) * rng.standard_normal((n, N_PRODUCTS), dtype=np.float32)
    drift = np.where(BALANCE < 0, np.float32(-0.015), np.float32(0.003)).astype(np.float32)
    balance = state.balance * np.exp(drift + noise)
    first = BALANCE * (state.income * people.thrift**0.5 * np.exp(rng.normal(0, 0.4, n)))[:, None]
    balance = np.where(taken, first * np.where(BALANCE > 0, 0.5, 1.0), balance)
    usual = BALANCE[0] * state.income * people.thrift
    balance[:, 0] += 0.25 * (usual - balance[:, 0]) * ~happened[:, INHERITANCE]
    balance[:, 0] += np.where(happened[:, INHERITANCE], np.exp(rng.normal(10.2, 0.7, n)), 0)
    return np.where(held, balance, 0).astype(np.float32)


def _campaign(
    rng: np.random.Generator, people: People, state: State, here: Flags, first: int, number: int
) -> Contacts:
    """Contacts of the month: some campaigns, each for one product, sent at random with a bias to higher incomes."""
    parts = []
    for place in range(_CAMPAIGNS):
        product = (number * _CAMPAIGNS + place) * 7 % N_PRODUCTS
        rich = np.clip(state.income / _USUAL_INCOME, 0.5, 2.0)
        chosen = here & people.consents & ~state.held[:, product] & (people.joined < first)
        person = np.flatnonzero(chosen & (rng.random(len(people)) < _REACH * rich))
        appeal = people.needs[person] @ BY_NEED[:, product] + state.events[person] @ BY_EVENT[:, product]
        interested = rng.random(len(person)) < 1 / (1 + np.exp(3.0 - 1.1 * appeal))
        declined = ~interested & (rng.random(len(person)) < 0.15)
        day = first + rng.integers(0, 20, len(person))
        parts.append(
            (
                person,
                np.full(len(person), product),
                np.full(len(person), place),
                rng.integers(0, len(_CHANNELS), len(person)),
                day,
                interested,
                declined,
                day + rng.integers(1, 12, len(person)),
            )
        )
    return Contacts(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _remembered(state: State, contacts: Contacts) -> Singles:
    rise = state.contacts * np.float32(_CONTACT_LASTS)
    rise[contacts.person, contacts.product] = np.where(contacts.interested, _INTERESTED, _CONTACTED)
    return rise
