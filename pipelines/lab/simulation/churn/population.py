"""Who the customers are: companies, their size, money, habits and what never changes about them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.lab.simulation.churn.calendar import COUNTRIES, COUNTRY_SHARE, add_months, clip_to_28
from pipelines.lab.simulation.churn.names import company_names
from pipelines.lab.simulation.churn.rates import RATES
from pipelines.lab.simulation.days import DAY_US, Floats, Ints

SECTORS = (
    "retail", "manufacturing", "professional_services", "hospitality", "healthcare",
    "construction", "logistics", "education", "software",
)  # fmt: skip
_SECTOR_SHARE = np.array([0.17, 0.14, 0.18, 0.09, 0.10, 0.11, 0.08, 0.06, 0.07])
_ADOPTION = np.array([0.85, 0.75, 0.50, 0.45, 0.55, 0.30, 0.45, 0.40, 0.35, 0.40, 0.25, 0.15])
_SECTOR_LOG_USE = np.array([0.0, -0.1, 0.1, -0.2, 0.0, -0.25, 0.1, 0.0, 0.3])


@dataclass(frozen=True)
class Population:
    """Static facts of the accounts of one block; every array has shape ``(accounts,)``.

    Attributes
    ----------
    number
        Global number of the account, from which its id is made.
    entry_day
        First day of the first term.
    initial
        Whether the account was a customer when the simulation began.
    fit
        How well the product suits the company, standard normal.
    frailty
        Log hazard of trouble: who is always about to leave.
    habit
        Intensity of use on a normal working day when engaged: a day passes unused with
        probability ``exp(-habit)``.
    colleagues
        Further sessions of an active day per unit of intensity.
    rhythm
        Shape ``(accounts, 7)``: intensity by day of the week relative to the average; many small
        companies work with the product on fixed days.
    breadth
        Shape ``(accounts, 12)``: chance that a day of use touches a product feature, 0 to 255.
    leave_slope
        Log use lost per week once the company has decided to leave.
    payer
        Days between invoice and payment in normal times.
    persuadable
        Whether a contact by customer success can change the company's mind.
    """

    number: Ints
    entry_day: Ints
    initial: NDArray[np.bool_]
    via_trial: NDArray[np.bool_]
    signed_up_day: Ints
    sector: Ints
    country: Ints
    employees: Ints
    founded_day: Ints
    fit: Floats
    frailty: Floats
    habit: Floats
    colleagues: Floats
    rhythm: Floats
    breadth: NDArray[np.uint8]
    leave_slope: Floats
    payer: Floats
    persuadable: NDArray[np.bool_]
    annual: NDArray[np.bool_]
    tier: Ints
    seats: Ints
    discount: Floats

    def __len__(self) -> int:
        return len(self.number)


def draw_population(
    rng: np.random.Generator, *, wanted: int, first_number: int, begin: int, weeks: int
) -> Population:
    """Draw every company that is or becomes a customer of a block.

    Parameters
    ----------
    wanted
        Paying accounts that the block is to have at any time.
    first_number
        Number of the block's first account.
    begin
        First day of the simulation, a Monday.
    weeks
        Weeks simulated.
    """
    initial_count = round(wanted * RATES.initial_share)
    trial = RATES.trial_share
    # Of the wanted new customers, `trial` come through a trial that converts now and then only.
    prospects = RATES.weekly_signups * wanted * (1 - trial + trial / RATES.trial_conversion)
    per_week = rng.poisson(prospects, weeks)
    new_count = int(per_week.sum())
    n = initial_count + new_count
    initial = np.arange(n) < initial_count

    week_day = begin + 7 * np.repeat(np.arange(weeks), per_week)
    new_day = week_day + rng.choice(7, new_count, p=[0.19, 0.2, 0.19, 0.18, 0.14, 0.06, 0.04])
    trial_new = trial / RATES.trial_conversion
    via_trial = np.zeros(n, dtype=bool)
    via_trial[initial_count:] = rng.random(new_count) < trial_new / (1 - trial + trial_new)

    annual = rng.random(n) < np.where(initial, *RATES.annual_share)
    # Running terms of the initial customers began on some day of the month (1..28) before `begin`.
    back = np.where(annual[:initial_count], rng.integers(0, 12, initial_count), 0)
    started = clip_to_28(begin - rng.integers(0, 27, initial_count))
    started = add_months(started, -back)
    entry = np.concatenate([started, new_day]).astype(np.int64)
    # A direct customer signs some days before the first term; a trial begins at once.
    signing = np.where(via_trial, 0, rng.integers(0, 8, n))
    tenure = np.where(initial, rng.exponential(500, n), signing).astype(np.int64)

    employees = np.maximum(1, np.exp(rng.normal(3.1, 1.25, n))).astype(np.int64)
    size = np.log(employees)
    fit = rng.normal(0, 1, n)
    tier_score = 0.55 * (size - 3.1) + rng.normal(0, 0.8, n)
    tier = (tier_score > 0.1).astype(np.int64) + (tier_score > 1.25)
    seats = np.maximum(1, np.round(np.exp(0.62 * size + 0.35 * tier - 0.1 + rng.normal(0, 0.45, n))))
    sector = rng.choice(len(SECTORS), n, p=_SECTOR_SHARE)
    log_habit = 0.85 + 0.30 * (np.log(seats) - 1.9) + 0.10 * fit + _SECTOR_LOG_USE[sector]
    log_colleagues = 1.5 + 0.85 * np.maximum(np.log(seats) - 1.9, -0.8) + rng.normal(0, 0.3, n)
    rhythm = rng.gamma(0.6, 1.0, (n, 7))
    # A feature is part of the daily work or it is not: adoption differs more than use.
    adopted = rng.random((n, 12)) < _ADOPTION + 0.06 * fit[:, None]
    taste = np.where(adopted, rng.uniform(0.15, 0.6, (n, 12)), 0.006)
    return Population(
        number=first_number + np.arange(n, dtype=np.int64),
        entry_day=entry,
        initial=initial,
        via_trial=via_trial,
        signed_up_day=entry - tenure,
        sector=sector,
        country=rng.choice(len(COUNTRIES), n, p=COUNTRY_SHARE),
        employees=employees,
        founded_day=entry - tenure - (365 + rng.gamma(1.6, 365 * 8, n)).astype(np.int64),
        fit=fit,
        frailty=RATES.frailty_sd * rng.normal(0, 1, n) - 0.12 * fit,
        habit=np.exp(log_habit + rng.normal(0, 0.5, n)),
        colleagues=np.exp(log_colleagues),
        rhythm=rhythm / rhythm[:, :5].mean(axis=1, keepdims=True),
        breadth=np.round(taste * 255).astype(np.uint8),
        leave_slope=rng.uniform(*RATES.leave_slope, n),
        payer=rng.gamma(4.0, 2.2, n),
        persuadable=rng.random(n) < 0.35,
        annual=annual,
        tier=tier,
        seats=seats.astype(np.int64),
        discount=np.clip(rng.normal(0.95, 0.06, n), 0.7, 1.1),
    )


def accounts_table(rng: np.random.Generator, people: Population, ids: pa.Array, *, end: int) -> pa.Table:
    """Rows of the layout ``accounts``: a first version each, and a later one where staff changed."""
    n = len(people)
    known = people.signed_up_day * DAY_US + rng.integers(7 * 3600, 19 * 3600, n) * 1_000_000
    changed = rng.random(n) < 0.25
    later_day = people.entry_day + rng.integers(60, 900, n)
    grown = np.maximum(1, np.round(people.employees * np.exp(rng.normal(0.05, 0.2, n)))).astype(np.int64)
    changed &= (later_day < end) & (grown != people.employees)
    row = np.concatenate([np.arange(n), np.flatnonzero(changed)])
    update = np.arange(len(row)) >= n
    known = np.concatenate([known, later_day[changed] * DAY_US + 3 * 3_600_000_000])
    staff = np.where(update, grown[row], people.employees[row])
    no_sector, no_country, no_founded = (rng.random(n) < p for p in (0.06, 0.01, 0.12))
    no_staff = rng.random(n) < 0.05
    order = np.lexsort((known, row))
    row, known, staff, update = row[order], known[order], staff[order], update[order]
    names = company_names(rng, n)
    return pa.table(
        {
            "account_id": ids.take(pa.array(row)),
            "account_name": names.take(pa.array(row)),
            "sector": _words(people.sector[row], SECTORS, no_sector[row]),
            "country": _words(people.country[row], COUNTRIES, no_country[row]),
            # Staff unknown at sign-up is often filled in by the update.
            "employees": pa.array(staff, mask=no_staff[row] & ~update),
            "founded_on": pa.array(people.founded_day[row].astype("datetime64[D]"), mask=no_founded[row]),
            "signed_up_on": pa.array(people.signed_up_day[row].astype("datetime64[D]")),
            "known_at": pa.array(known.astype("datetime64[us]")),
        }
    )


def _words(codes: Ints, words: tuple[str, ...], missing: NDArray[np.bool_]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(
        pa.array(codes.astype(np.int32), mask=missing), pa.array(words)
    ).cast(pa.string())
