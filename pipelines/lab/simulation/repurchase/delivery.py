"""Generate a delivery: all tables of the repurchase use case, and the truth about them."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.errors import ConfigError
from pipelines.lab.simulation.days import DAY_US, to_date, to_day
from pipelines.lab.simulation.dirt import Planted
from pipelines.lab.simulation.folder import PARAMETERS, replacing
from pipelines.lab.simulation.identifiers import identifiers
from pipelines.lab.simulation.repurchase.catalogue import (
    NEVER_BOUGHT,
    Catalogue,
    draw_catalogue,
    products_table,
)
from pipelines.lab.simulation.repurchase.dirt import dirty_rows
from pipelines.lab.simulation.repurchase.files import BlockRows, Months
from pipelines.lab.simulation.repurchase.households import draw_households
from pipelines.lab.simulation.repurchase.shopping import shop
from pipelines.lab.simulation.repurchase.truth import (
    TABLES,
    households_table,
    next_tables,
    repertoire_table,
)
from pipelines.lab.simulation.start import (
    Progress,
    random_stream,
    require_dirty_share,
    silent,
)
from pipelines.lab.simulation.write import TableFile, delivered_schema
from pipelines.sources.layout import RawLayout
from pipelines.usecases.repurchase.layouts import ORDER_LINES, ORDERS, PRODUCTS

DEFAULT_START = date(2024, 7, 1)
#: A Monday, 79 weeks later: the first day that can be scored with all of the data.
DEFAULT_END = date(2026, 1, 5)
#: Days that the simulation goes on after the end, for the truth.
AFTER_DAYS = 60

#: Households per block. Blocks bound memory; part of the definition of the data, so not a parameter.
BLOCK_HOUSEHOLDS = 4_000
#: Streams of random numbers of the shop and of a block.
_CATALOGUE, _DIRT = range(100, 102)
_HOUSEHOLDS, _SHOPPING, _KNOWN = range(3)
#: Fewest and most products of a catalogue, and customers per product between them.
_FEWEST, _MOST, _PER_PRODUCT = 1_500, 20_000, 10


@dataclass(frozen=True)
class GenerateReport:
    """What was generated.

    Attributes
    ----------
    customers
        Households; those that never ordered within the delivery included.
    products
        Products in the catalogue.
    rows
        Rows per delivered table, planted ones included.
    truth_rows
        Rows per table of the truth.
    planted
        Bad rows per table and defect, as in ``truth/planted_dirt.json``.
    """

    customers: int
    products: int
    seed: int
    start: date
    end: date
    rows: dict[str, int]
    truth_rows: dict[str, int]
    planted: Planted


def generate(
    customers: int = 200_000,
    seed: int = 0,
    to: Path = Path("data/repurchase"),
    *,
    start: date = DEFAULT_START,
    end: date = DEFAULT_END,
    dirty_share: float = 0.0005,
    progress: Progress | None = None,
) -> GenerateReport:
    """Simulate an online grocer and write what its shop delivers.

    Parameters
    ----------
    customers
        Households; about 17 orders each, and 9 to 10 lines an order.
    seed
        The same arguments give the same files.
    to
        Folder of the delivery, replaced if it holds an earlier one: files, and the truth under ``truth/``.
    start
        First delivered day.
    end
        First day that is not delivered.
    dirty_share
        Rows that break the contract, as a share of each table's rows.
    progress
        Called with what is being done and the share done, 0 to 1.

    Raises
    ------
    ConfigError
        An argument is out of range, or ``to`` holds something else.
    """
    for name, value, least in (("customers", customers, 20), ("seed", seed, 0)):
        if value < least:
            raise ConfigError(f"--{name} must be at least {least}, got {value}")
    require_dirty_share(dirty_share)
    if (end - start).days < 84:
        raise ConfigError(f"end must be at least 12 weeks after start, got {start} and {end}")
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
        products = min(_MOST, max(_FEWEST, customers // _PER_PRODUCT))
        self.catalogue = draw_catalogue(random_stream(seed, _CATALOGUE), products, start, end)
        self.dirt = random_stream(seed, _DIRT)
        self.planted: Planted = {}

    def write(self, tell: Progress) -> GenerateReport:
        rows = {"products": self._products()}
        blocks = -(-self.customers // BLOCK_HOUSEHOLDS)
        with ExitStack() as stack:
            months = Months(self.to, self.start, self.end, stack, dirty=self.dirty_share > 0)
            truth = {
                table.name: stack.enter_context(
                    TableFile(
                        self.to / f"{table.name}.parquet",
                        table.arrow_schema,
                        encoded=[n for n in ("customer_id", "product_id") if n in table.column_names],
                    )
                )
                for table in TABLES
            }
            for block in range(blocks):
                tell(f"block {block + 1} of {blocks}", block / blocks)
                self._block(block, months, truth)
            rows |= months.rows
        for layout in (ORDERS, ORDER_LINES):
            rows[layout.table.name] += self._resent(layout, months)
        (self.to / "truth" / "planted_dirt.json").write_text(json.dumps(self.planted, indent=2) + "\n")
        tell("done", 1.0)
        return GenerateReport(
            customers=self.customers,
            products=len(self.catalogue),
            seed=self.seed,
            start=to_date(self.start),
            end=to_date(self.end),
            rows=rows,
            truth_rows={name.removeprefix("truth/"): file.rows for name, file in truth.items()},
            planted=self.planted,
        )

    def _block(self, block: int, months: Months, truth: dict[str, TableFile]) -> None:
        first = block * BLOCK_HOUSEHOLDS + 1
        n = min(BLOCK_HOUSEHOLDS, self.customers - first + 1)
        rng = random_stream(self.seed, _HOUSEHOLDS, block)
        households = draw_households(rng, self.catalogue, first, n, self.start, self.end)
        orders = shop(
            random_stream(self.seed, _SHOPPING, block),
            self.catalogue,
            households,
            self.start,
            self.end + AFTER_DAYS,
        )
        customer_ids = identifiers("C", households.number, 7)
        months.append(
            random_stream(self.seed, _KNOWN, block), BlockRows(orders, customer_ids, self.catalogue.ids)
        )
        nexts, next_lines = next_tables(customer_ids, self.catalogue.ids, orders, self.end)
        tables = (
            households_table(customer_ids, households),
            repertoire_table(customer_ids, self.catalogue.ids, households),
            nexts,
            next_lines,
        )
        for table, rows in zip(TABLES, tables, strict=True):
            truth[table.name].append(rows)

    # ---------------------------------------------------------------- products and bad rows

    def _products(self) -> int:
        schema = delivered_schema(PRODUCTS.table, dirty=True)
        clean = products_table(self.catalogue, self.start).select(schema.names).cast(schema)
        known_before = pa.scalar(self.end * DAY_US, pa.int64()).cast(pa.timestamp("us"))
        clean = clean.filter(pc.less(clean["known_at"], known_before))
        name = "products.parquet"
        with TableFile(self.to / name, delivered_schema(PRODUCTS.table, dirty=self.dirty_share > 0)) as file:
            file.append(clean)
            for bad in self._bad(PRODUCTS, clean, len(clean)):
                file.append(bad)
            return file.rows

    def _bad(self, layout: RawLayout, clean: pa.Table, rows: int) -> list[pa.Table]:
        if self.dirty_share == 0:
            return []
        bad = []
        counts = self.planted.setdefault(layout.table.name, {})
        wanted = max(1, round(rows * self.dirty_share))
        for defect, found in dirty_rows(
            self.dirt, layout.table, clean, rows=wanted, never_bought=_never_bought(self.catalogue)
        ):
            counts[defect] = counts.get(defect, 0) + len(found)
            bad.append(found)
        return bad

    def _resent(self, layout: RawLayout, months: Months) -> int:
        """Write the bad rows, in a file that is read after the months: the first of two rows is the good one."""
        name = layout.table.name
        bad = self._bad(layout, months.sample(layout), months.rows[name])
        if not bad:
            return 0
        schema = delivered_schema(layout.table, dirty=True)
        with TableFile(self.to / name / "resent.parquet", schema) as file:
            for rows in bad:
                file.append(rows)
            return file.rows


def _never_bought(catalogue: Catalogue) -> pa.Array:
    return catalogue.ids[len(catalogue) - NEVER_BOUGHT :]
