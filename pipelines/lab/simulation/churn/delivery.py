"""Generate a delivery: all tables of the churn use case, and the truth about them."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.errors import ConfigError
from pipelines.lab.simulation.churn.billing import invoices_table
from pipelines.lab.simulation.churn.calendar import monday_of
from pipelines.lab.simulation.churn.contracts import subscriptions_table
from pipelines.lab.simulation.churn.dirt import dirty_rows
from pipelines.lab.simulation.churn.population import Population, accounts_table, draw_population
from pipelines.lab.simulation.churn.rates import RATES
from pipelines.lab.simulation.churn.simulate import Trajectory, simulate
from pipelines.lab.simulation.churn.support import draw_incidents, tickets_table
from pipelines.lab.simulation.churn.truth import CHURN_RISK, true_risk, truth_days
from pipelines.lab.simulation.churn.usage import usage_months
from pipelines.lab.simulation.days import DAY_US, Ints, to_date, to_day
from pipelines.lab.simulation.dirt import Planted
from pipelines.lab.simulation.folder import PARAMETERS, replacing
from pipelines.lab.simulation.identifiers import identifiers
from pipelines.lab.simulation.start import (
    Progress,
    random_stream,
    require_at_least,
    require_dirty_share,
    silent,
)
from pipelines.lab.simulation.write import TableFile, delivered_schema, write_encoded
from pipelines.usecases.churn.layouts import (
    ACCOUNTS,
    INVOICES,
    LAYOUTS,
    SUBSCRIPTIONS,
    SUPPORT_TICKETS,
    USAGE_EVENTS,
)

DEFAULT_START = date(2023, 1, 2)
#: 157 weeks later; a Monday, the first day that can be scored with all of the data.
DEFAULT_END = date(2026, 1, 5)

#: Paying accounts per block. Blocks are independent, which bounds memory; part of the definition
#: of the data, so not a parameter.
BLOCK_ACCOUNTS = 15_000
_NUMBERS_PER_BLOCK = 1_000_000
#: Streams of random numbers of a block; a stream per concern keeps the others unchanged.
_POPULATION, _LIFE, _PROFILE, _USAGE, _BILLING, _DIRT = range(6)


@dataclass(frozen=True)
class GenerateReport:
    """What was generated.

    Attributes
    ----------
    rows
        Rows per delivered table, planted ones included.
    truth_rows
        Rows of ``truth/churn_risk.parquet``.
    planted
        Bad rows per table and defect, as in ``truth/planted_dirt.json``.
    """

    accounts: int
    seed: int
    start: date
    end: date
    rows: dict[str, int]
    truth_rows: int
    planted: Planted


def generate(
    accounts: int = 15_000,
    seed: int = 0,
    to: Path = Path("data/churn"),
    *,
    start: date = DEFAULT_START,
    end: date = DEFAULT_END,
    dirty_share: float = 0.0005,
    progress: Progress | None = None,
) -> GenerateReport:
    """Simulate a B2B SaaS company and write what its systems deliver.

    Parameters
    ----------
    accounts
        Paying accounts at any time; those that left or only tried come on top.
    seed
        The same arguments give the same files.
    to
        Folder to write; an earlier delivery there is replaced, anything else is refused.
    start
        First day of use, invoices and tickets.
    end
        Moment of extraction, 00:00 UTC of this day: rows known later are not delivered.
    dirty_share
        Bad rows per clean row; 0 for none.
    progress
        Called with what is being done and the share done, 0 to 1.

    Raises
    ------
    ConfigError
        An argument is out of range, or ``to`` holds something else.
    """
    require_at_least(("accounts", accounts, 1))
    if seed < 0:
        raise ConfigError(f"--seed must not be negative, got {seed}")
    require_dirty_share(dirty_share)
    if (end - start).days < 60:
        raise ConfigError(f"end must be at least 60 days after start, got {start} and {end}")
    with replacing(to) as aside:
        (aside / "usage_events").mkdir()
        return _Delivery(accounts, seed, aside, start, end, dirty_share, progress or silent).write()


def _last_end(life: Trajectory, accounts: int) -> Ints:
    """Last day any term of an account ends on, shape ``(accounts,)``."""
    last = np.zeros(accounts, dtype=np.int64)
    np.maximum.at(last, life.terms["who"].astype(np.int64), life.terms["end"].astype(np.int64))
    return last


class _Delivery:
    """The open files of a delivery while its blocks are written."""

    def __init__(
        self,
        accounts: int,
        seed: int,
        to: Path,
        start: date,
        end: date,
        dirty_share: float,
        progress: Progress,
    ) -> None:
        self.accounts, self.seed, self.to = accounts, seed, to
        self.start, self.end = to_day(start), to_day(end)
        self.dirty_share, self.progress = dirty_share, progress
        self.begin = monday_of(self.start) - 7 * RATES.warm_up_weeks
        self.weeks = (self.end - self.begin + 6) // 7
        self.schemas = {
            layout.table.name: delivered_schema(layout.table, dirty=dirty_share > 0) for layout in LAYOUTS
        }
        self.usage_rows = 0
        self.planted: Planted = {}

    def write(self) -> GenerateReport:
        blocks = [BLOCK_ACCOUNTS] * (self.accounts // BLOCK_ACCOUNTS)
        blocks += [rest] if (rest := self.accounts % BLOCK_ACCOUNTS) else []
        incidents = draw_incidents(np.random.default_rng([self.seed, 0]), self.weeks)
        with ExitStack() as stack:
            files = {
                layout.table.name: stack.enter_context(
                    TableFile(self.to / f"{layout.table.name}.parquet", self.schemas[layout.table.name])
                )
                for layout in (ACCOUNTS, SUBSCRIPTIONS, INVOICES, SUPPORT_TICKETS)
            }
            risk = stack.enter_context(
                TableFile(self.to / "truth" / "churn_risk.parquet", CHURN_RISK.arrow_schema)
            )
            for number, wanted in enumerate(blocks):
                self._block(number, len(blocks), wanted, incidents, files, risk)
        rows = {name: file.rows for name, file in files.items()} | {"usage_events": self.usage_rows}
        report = GenerateReport(
            self.accounts, self.seed, to_date(self.start), to_date(self.end), rows, risk.rows, self.planted
        )
        (self.to / "truth" / "planted_dirt.json").write_text(json.dumps(self.planted, indent=2) + "\n")
        parameters = {
            "accounts": self.accounts,
            "seed": self.seed,
            "start": str(report.start),
            "end": str(report.end),
            "dirty_share": self.dirty_share,
            "rates": asdict(RATES),
        }
        (self.to / PARAMETERS).write_text(json.dumps(parameters, indent=2) + "\n")
        self.progress("done", 1.0)
        return report

    def _stream(self, block: int, stream: int) -> np.random.Generator:
        return random_stream(self.seed, stream, 1 + block)

    def _block(
        self,
        block: int,
        blocks: int,
        wanted: int,
        incidents: np.ndarray[tuple[int], np.dtype[np.float64]],
        files: dict[str, TableFile],
        risk: TableFile,
    ) -> None:
        def tell(message: str, share: float) -> None:
            self.progress(f"block {block + 1} of {blocks}: {message}", (block + share) / blocks)

        tell("accounts", 0.0)
        people = draw_population(
            self._stream(block, _POPULATION),
            wanted=wanted,
            first_number=1 + block * _NUMBERS_PER_BLOCK,
            begin=self.begin,
            weeks=self.weeks,
        )
        ids = identifiers("AC", people.number, 9)
        life = simulate(self._stream(block, _LIFE), people, incidents, begin=self.begin)
        tell("contracts, invoices and tickets", 0.2)
        rng = self._stream(block, _BILLING)
        tables = {
            "accounts": accounts_table(self._stream(block, _PROFILE), people, ids, end=self.end),
            "subscriptions": subscriptions_table(life.terms, ids, people.number),
            "invoices": invoices_table(rng, people, life, ids, start=self.start),
            "support_tickets": tickets_table(life.tickets, ids, people.number, start=self.start),
        }
        # Whoever left before the first delivered day is not in any system.
        present = ids.filter(pa.array(_last_end(life, len(people)) >= self.start))
        dirt = self._stream(block, _DIRT)
        for layout in LAYOUTS:
            name = layout.table.name
            if name in tables:
                clean = self._known(tables[name])
                clean = clean.filter(pc.is_in(clean["account_id"], present))
                files[name].append(clean)
                for bad in self._dirt(dirt, name, clean, len(clean)):
                    files[name].append(bad)
        self._usage(block, people, life, ids, dirt, tell)
        tell("true risk", 0.95)
        for day in truth_days(self.start, self.end):
            risk.append(true_risk(life, people, ids, day))

    def _known(self, rows: pa.Table) -> pa.Table:
        """Keep the rows known before the extraction."""
        limit = pa.scalar(self.end * DAY_US, pa.int64()).cast(pa.timestamp("us"))
        return rows.filter(pc.less(rows["known_at"], limit))

    def _usage(
        self, block: int, people: Population, life: Trajectory, ids: pa.Array, dirt: np.random.Generator,
        tell: Progress,
    ) -> None:  # fmt: skip
        folder, schema = self.to / "usage_events", self.schemas["usage_events"]
        months = usage_months(self._stream(block, _USAGE), people, life, ids, start=self.start, end=self.end)
        written, sample = 0, None
        for count, (month, rows) in enumerate(months):
            write_encoded(folder / f"{month}-{block:03d}.parquet", rows, schema)
            written += len(rows)
            if count % 6 == 0:
                sample = rows
                tell(f"usage {month}", min(0.95, 0.25 + 0.7 * count / 37))
        self.usage_rows += written
        if sample is not None:
            clean = sample.cast(USAGE_EVENTS.table.arrow_schema)
            bad = list(self._dirt(dirt, "usage_events", clean, written))
            if bad:
                # Named to be read after the months: the first of two conflicting rows is the good one.
                pa_rows = pa.concat_tables([rows.cast(schema) for rows in bad])
                write_encoded(folder / f"resent-{block:03d}.parquet", pa_rows, schema)
                self.usage_rows += len(pa_rows)

    def _dirt(self, rng: np.random.Generator, name: str, clean: pa.Table, rows: int) -> list[pa.Table]:
        table = next(layout.table for layout in LAYOUTS if layout.table.name == name)
        wanted = max(1, round(rows * self.dirty_share)) if self.dirty_share > 0 else 0
        bad = []
        for defect, bad_rows in dirty_rows(rng, table, clean, rows=wanted, start=self.start):
            counts = self.planted.setdefault(name, {})
            counts[defect] = counts.get(defect, 0) + len(bad_rows)
            bad.append(bad_rows)
        return bad
