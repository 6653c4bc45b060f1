"""Generate a delivery: all tables of the propensity use case, and the truth about them."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.errors import ConfigError
from pipelines.lab.simulation.days import DAY_US, Ints, to_date, to_day
from pipelines.lab.simulation.dirt import Planted
from pipelines.lab.simulation.folder import PARAMETERS, replacing
from pipelines.lab.simulation.identifiers import identifiers
from pipelines.lab.simulation.propensity.bank import (
    BIRTH,
    CHANNELS,
    JOB,
    MOVE,
    OWN_BUSINESS,
    RETIREMENT,
    Contacts,
    Flags,
    State,
    first_state,
    month,
)
from pipelines.lab.simulation.propensity.dirt import dirty_rows
from pipelines.lab.simulation.propensity.people import REGIONS, People, draw_people
from pipelines.lab.simulation.propensity.products import BALANCE, N_PRODUCTS, NAMES
from pipelines.lab.simulation.propensity.span import Month, months_of
from pipelines.lab.simulation.propensity.truth import (
    TABLES,
    chances,
    chances_table,
    people_table,
    taken_table,
)
from pipelines.lab.simulation.start import (
    Progress,
    random_stream,
    require_at_least,
    require_dirty_share,
    silent,
)
from pipelines.lab.simulation.write import TableFile, delivered_schema, encoded
from pipelines.sources.layout import RawLayout
from pipelines.usecases.propensity.layouts import CAMPAIGNS, CUSTOMERS, EMPLOYMENTS, HOLDINGS

DEFAULT_START = date(2024, 7, 1)
#: A Monday: the first day that can be scored with all of the data.
DEFAULT_END = date(2026, 1, 5)
#: Days after the end of which the truth tells.
HORIZON_DAYS = 90

#: People per block. Blocks bound memory; part of the definition of the data, so not a parameter.
BLOCK_PEOPLE = 10_000
#: Streams of random numbers of the bank and of a block.
_DIRT = 100
_PEOPLE, _LIFE, _KNOWN, _FUTURES = range(4)
#: Shares of holdings that are known some days late, of profile changes that the bank learns of, of unknown values.
_LATE, _LEARNS, _UNKNOWN = 0.003, 0.7, 0.04
_HOUR_US = 3_600_000_000
#: Most rows kept for bad rows to imitate.
_SAMPLE_ROWS = 20_000


@dataclass(frozen=True)
class GenerateReport:
    """What was generated.

    Attributes
    ----------
    customers
        People; those that left or came late included.
    rows
        Rows per delivered table, planted ones included.
    truth_rows
        Rows per table of the truth.
    planted
        Bad rows per table and defect, as in ``truth/planted_dirt.json``.
    """

    customers: int
    seed: int
    start: date
    end: date
    rows: dict[str, int]
    truth_rows: dict[str, int]
    planted: Planted


def generate(
    customers: int = 200_000,
    seed: int = 0,
    to: Path = Path("data/propensity"),
    *,
    start: date = DEFAULT_START,
    end: date = DEFAULT_END,
    dirty_share: float = 0.0005,
    progress: Progress | None = None,
) -> GenerateReport:
    """Simulate a bank and write what its systems deliver.

    Parameters
    ----------
    customers
        People; about 4 products each, a row per product and month.
    seed
        The same arguments give the same files.
    to
        Folder of the delivery, replaced if it holds an earlier one: files, and the truth under ``truth/``.
    start, end
        First day of the first delivered month, and first day that is not known.
    dirty_share
        Rows that break the contract, as a share of each table's rows.
    progress
        Called with what is being done and the share done, 0 to 1.

    Raises
    ------
    ConfigError
        An argument is out of range, or ``to`` holds something else.
    """
    require_at_least(("customers", customers, 20), ("seed", seed, 0))
    require_dirty_share(dirty_share)
    if start.day != 1 or (end - start).days < 180:
        raise ConfigError(f"start must be the first of a month half a year before end, got {start} and {end}")
    arguments = {
        "customers": customers, "seed": seed, "start": str(start), "end": str(end), "dirty_share": dirty_share,
    }  # fmt: skip
    with replacing(to) as aside:
        (aside / PARAMETERS).write_text(json.dumps(arguments, indent=2) + "\n")
        delivery = _Delivery(seed, customers, aside, to_day(start), to_day(end), dirty_share)
        report = delivery.write(progress or silent)
    return report


class _Delivery:
    """The open files of a delivery while its blocks are written."""

    def __init__(self, seed: int, customers: int, to: Path, start: int, end: int, dirty_share: float) -> None:
        self.seed, self.customers, self.to = seed, customers, to
        self.start, self.end, self.dirty_share = start, end, dirty_share
        self.months = months_of(start, end + HORIZON_DAYS)
        #: Months whose last day is known before the end.
        self.delivered = [each for each in self.months if each.end < end]
        self.planted: Planted = {}
        self.samples: dict[str, pa.Table] = {}
        self.contacts = 0

    def write(self, tell: Progress) -> GenerateReport:
        blocks = -(-self.customers // BLOCK_PEOPLE)
        with ExitStack() as stack:
            self.files = {
                (name, each.number): self._file(layout, f"{np.datetime64(each.number, 'M')}", stack)
                for name, layout in (("holdings", HOLDINGS), ("campaigns", CAMPAIGNS))
                for each in self.months
                if each.first < self.end and (name == "campaigns" or each in self.delivered)
            }
            self.files["customers", 0] = self._file(CUSTOMERS, "profiles", stack)
            truth = {
                table.name: stack.enter_context(
                    TableFile(
                        self.to / f"{table.name}.parquet",
                        table.arrow_schema,
                        encoded=[n for n in ("customer_id", "product", "segment") if n in table.column_names],
                    )
                )
                for table in TABLES
            }
            for block in range(blocks):
                tell(f"block {block + 1} of {blocks}", block / blocks)
                self._block(block, truth)
        rows = {layout.table.name: 0 for layout in (CUSTOMERS, HOLDINGS, CAMPAIGNS)}
        for (name, _), file in self.files.items():
            rows[name] += file.rows
        rng = random_stream(self.seed, _DIRT)
        for layout in (CUSTOMERS, HOLDINGS, CAMPAIGNS):
            rows[layout.table.name] += self._resent(rng, layout, rows[layout.table.name])
        (self.to / "truth" / "planted_dirt.json").write_text(json.dumps(self.planted, indent=2) + "\n")
        tell("done", 1.0)
        return GenerateReport(
            customers=self.customers,
            seed=self.seed,
            start=to_date(self.start),
            end=to_date(self.end),
            rows=rows,
            truth_rows={name.removeprefix("truth/"): file.rows for name, file in truth.items()},
            planted=self.planted,
        )

    def _file(self, layout: RawLayout, name: str, stack: ExitStack) -> TableFile:
        folder = self.to / layout.table.name
        folder.mkdir(exist_ok=True)
        schema = delivered_schema(layout.table, dirty=self.dirty_share > 0)
        words = [
            c for c in ("customer_id", "product", "region", "employment", "channel") if c in schema.names
        ]
        return stack.enter_context(TableFile(folder / f"{name}.parquet", schema, encoded=words))

    def _block(self, block: int, truth: dict[str, TableFile]) -> None:
        first = block * BLOCK_PEOPLE + 1
        n = min(BLOCK_PEOPLE, self.customers - first + 1)
        people = draw_people(random_stream(self.seed, _PEOPLE, block), first, n, self.start, self.end)
        ids = identifiers("K", people.number, 7)
        life, known = (random_stream(self.seed, stream, block) for stream in (_LIFE, _KNOWN))
        state = first_state(life, people, self.start)
        self._profiles(known, ids, people, state, np.maximum(people.joined, 0), np.ones(n, dtype=bool), None)
        next_day = np.full((n, N_PRODUCTS), np.nan)
        for each in self.months:
            if each.first <= self.end < each.end:
                after = months_of(self.end, self.end + HORIZON_DAYS)
                chance = chances(random_stream(self.seed, _FUTURES, block), people, state, after)
            before = state
            state, taken, happened, contacts = month(life, people, state, each.first, each.days, each.number)
            in_horizon = taken & (state.opened >= self.end) & (state.opened < self.end + HORIZON_DAYS)
            next_day[in_horizon] = state.opened[in_horizon]
            if each.first <= self.end < each.end:
                held = before.held | (taken & (state.opened < self.end))
                eligible = ~held & np.asarray(before.held.any(axis=1))[:, None]
            if each in self.delivered:
                self._holdings(known, ids, state, each)
            if each.first < self.end:
                if contacts is not None:
                    self._contacts(known, ids, contacts, each)
                self._changes(known, ids, people, state, happened, each)
        next_day[~eligible] = np.nan
        tables = (people_table(ids, people), chances_table(ids, chance, eligible), taken_table(ids, next_day))
        for table, rows in zip(TABLES, tables, strict=True):
            truth[table.name].append(rows)

    # ---------------------------------------------------------------- what the systems know

    def _append(self, layout: RawLayout, number: int, rows: dict[str, Any], kept: Flags) -> None:
        table = pa.table(rows).filter(pa.array(kept))
        name = layout.table.name
        self.files[name, number].append(table)
        if len(self.samples.get(name, ())) < min(len(table), _SAMPLE_ROWS):
            schema = delivered_schema(layout.table, dirty=True)
            self.samples[name] = table.select(schema.names).slice(0, _SAMPLE_ROWS).cast(schema)

    def _holdings(self, rng: np.random.Generator, ids: pa.Array, state: State, each: Month) -> None:
        row, column = np.nonzero(state.held)
        known_us = each.end * DAY_US + (rng.random(len(row)) * 5 * _HOUR_US).astype(np.int64)
        known_us += (rng.random(len(row)) < _LATE) * (rng.random(len(row)) * 3 * DAY_US).astype(np.int64)
        balance = state.balance[row, column].astype(np.float64).round(2)
        rows = {
            "customer_id": encoded(ids, row),
            "month_end": np.full(len(row), each.end - 1).astype("datetime64[D]"),
            "product": encoded(pa.array(NAMES), column),
            "opened_on": state.opened[row, column].astype("datetime64[D]"),
            "balance_eur": pa.array(balance, mask=BALANCE[column] == 0),
            "known_at": known_us.astype("datetime64[us]"),
        }
        self._append(HOLDINGS, each.number, rows, known_us < self.end * DAY_US)

    def _contacts(self, rng: np.random.Generator, ids: pa.Array, contacts: Contacts, each: Month) -> None:
        n = len(contacts.person)
        contact_ids = identifiers("T", self.contacts + 1 + np.arange(n), 8)
        self.contacts += n
        answered = contacts.interested | contacts.declined
        version = np.concatenate([np.arange(n), np.flatnonzero(answered)])
        is_answer = np.arange(len(version)) >= n
        day = np.where(is_answer, contacts.answered[version], contacts.day[version])
        known_us = day * DAY_US + (8 + rng.random(len(version)) * 10) * _HOUR_US
        response = np.where(is_answer, np.where(contacts.interested[version], 1, 2), 0)
        campaign = [f"{np.datetime64(each.number, 'M')} no. {place + 1}" for place in range(2)]
        rows = {
            "contact_id": contact_ids.take(pa.array(version)),
            "customer_id": encoded(ids, contacts.person[version]),
            "campaign": pa.array(campaign).take(pa.array(contacts.campaign[version])),
            "product": encoded(pa.array(NAMES), contacts.product[version]),
            "channel": encoded(pa.array(CHANNELS), contacts.channel[version]),
            "contacted_on": contacts.day[version].astype("datetime64[D]"),
            "response": pa.array(["none", "interested", "declined"]).take(pa.array(response)),
            "known_at": known_us.astype(np.int64).astype("datetime64[us]"),
        }
        self._append(CAMPAIGNS, each.number, rows, known_us < self.end * DAY_US)

    def _changes(
        self,
        rng: np.random.Generator,
        ids: pa.Array,
        people: People,
        state: State,
        happened: Flags,
        each: Month,
    ) -> None:
        """Profiles that changed, of those who tell the bank."""
        told = np.asarray(happened[:, [BIRTH, MOVE, JOB, RETIREMENT, OWN_BUSINESS]].any(axis=1))
        told &= rng.random(len(told)) < _LEARNS
        day = each.end + rng.integers(0, 45, len(told))
        self._profiles(rng, ids, people, state, day, told & (people.joined < each.first), each)

    def _profiles(
        self,
        rng: np.random.Generator,
        ids: pa.Array,
        people: People,
        state: State,
        day: Ints,
        kept: Flags,
        each: Month | None,
    ) -> None:
        row = np.flatnonzero(kept)
        n = len(row)
        # A version per customer and moment: the month is in the microseconds, so that no two are the same.
        known_us = day[row] * DAY_US + (9 + rng.random(n) * 8).astype(np.int64) * _HOUR_US
        known_us += 0 if each is None else each.number
        unknown = random_stream(self.seed, _PEOPLE, int(people.number[0])).random((len(people), 3)) < _UNKNOWN
        born = people.born.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
        rows = {
            "customer_id": encoded(ids, row),
            "birth_year": pa.array(born[row], mask=unknown[row, 0] & (people.segment[row] == 4)),
            "joined_on": people.joined[row].astype("datetime64[D]"),
            "region": encoded(pa.array(REGIONS), state.region[row]),
            "employment": encoded(pa.array(EMPLOYMENTS), state.employment[row]),
            "income_eur": pa.array(state.income[row].round(-1), mask=unknown[row, 1]),
            "household_size": pa.array(state.household[row], mask=unknown[row, 2]),
            "consents_to_marketing": people.consents[row],
            "known_at": known_us.astype("datetime64[us]"),
        }
        self._append(CUSTOMERS, 0, rows, known_us < self.end * DAY_US)

    def _resent(self, rng: np.random.Generator, layout: RawLayout, rows: int) -> int:
        """Write the bad rows, in a file that is read after the others: the first of two rows is the good one."""
        if self.dirty_share == 0:
            return 0
        name = layout.table.name
        counts = self.planted.setdefault(name, {})
        wanted = max(1, round(rows * self.dirty_share))
        schema = delivered_schema(layout.table, dirty=True)
        with TableFile(self.to / name / "resent.parquet", schema) as file:
            for defect, found in dirty_rows(rng, layout.table, self.samples[name], rows=wanted):
                counts[defect] = len(found)
                file.append(found)
            return file.rows
