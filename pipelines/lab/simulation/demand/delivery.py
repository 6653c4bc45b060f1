"""Generate a delivery: all tables of the demand use case, and the truth about them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.errors import ConfigError
from pipelines.lab.simulation.days import DAY_US, to_date, to_day
from pipelines.lab.simulation.demand.assortment import Series, draw_series, speed_shares
from pipelines.lab.simulation.demand.customers import customers_table
from pipelines.lab.simulation.demand.dirt import (
    AFTER_CLOSURE,
    REPEATED,
    after_closure,
    dirty_rows,
    repeated,
)
from pipelines.lab.simulation.demand.events import events_table
from pipelines.lab.simulation.demand.products import ever_sold, products_table
from pipelines.lab.simulation.demand.promotions import promotions_table
from pipelines.lab.simulation.demand.shelf import sell
from pipelines.lab.simulation.demand.shopping import draw_demand
from pipelines.lab.simulation.demand.span import Span
from pipelines.lab.simulation.demand.stockroom import Stockroom
from pipelines.lab.simulation.demand.stores import NEVER, stores_table
from pipelines.lab.simulation.demand.tills import Tills
from pipelines.lab.simulation.demand.truth import (
    KEPT_DAYS,
    LATENT_DEMAND,
    SERIES,
    latent_table,
    series_table,
)
from pipelines.lab.simulation.demand.weather import forecasts_table, observed_table
from pipelines.lab.simulation.demand.world import World, draw_world
from pipelines.lab.simulation.dirt import Planted
from pipelines.lab.simulation.folder import PARAMETERS, replacing
from pipelines.lab.simulation.start import (
    Progress,
    random_stream,
    require_at_least,
    require_dirty_share,
    silent,
)
from pipelines.lab.simulation.write import TableFile, delivered_schema
from pipelines.usecases.demand.layouts import LAYOUTS, SALES

DEFAULT_START = date(2023, 1, 2)
#: 157 weeks later; a Monday, the first day that can be forecast with all of the data.
DEFAULT_END = date(2026, 1, 5)

#: Series per block, about. Blocks bound memory; part of the definition of the data, so not a parameter.
BLOCK_SERIES = 2_000
#: Streams of random numbers of the chain and of a block.
_REPORTS, _ASSORTMENT, _TABLES, _DIRT, _CUSTOMERS, _CUSTOMERS_DIRT = range(100, 106)
_SHOPPING, _SHELF, _STOCKROOM = range(3)


@dataclass(frozen=True)
class GenerateReport:
    """What was generated.

    Attributes
    ----------
    series
        Products in stores that were ever on the shelf.
    rows
        Rows per delivered table, planted ones included.
    truth_rows
        Rows per table of the truth.
    planted
        Bad rows per table and defect, as in ``truth/planted_dirt.json``.
    """

    stores: int
    skus: int
    seed: int
    start: date
    end: date
    series: int
    rows: dict[str, int]
    truth_rows: dict[str, int]
    planted: Planted


def generate(
    stores: int = 150,
    skus: int = 8_000,
    rows: int = 8_000_000,
    seed: int = 0,
    to: Path = Path("data/demand"),
    *,
    start: date = DEFAULT_START,
    end: date = DEFAULT_END,
    dirty_share: float = 0.0005,
    kept_days: int = KEPT_DAYS,
    progress: Progress | None = None,
) -> GenerateReport:
    """Simulate a chain of food shops and write what its systems deliver.

    Parameters
    ----------
    stores
        Stores trading on the last day; those that closed before come on top.
    skus
        Products on sale on the last day; those that were dropped before come on top.
    rows
        Sales rows of the delivery, met within some percent by the depth of the assortments.
    seed
        The same arguments give the same files.
    to
        Folder to write; an earlier delivery there is replaced, anything else is refused.
    start
        First day of sales and weather.
    end
        Moment of extraction, 00:00 UTC of this day: rows known later are not delivered.
    dirty_share
        Bad rows per clean row; 0 for none.
    kept_days
        Days before the end from which on the demand is kept as truth.
    progress
        Called with what is being done and the share done, 0 to 1.

    Raises
    ------
    ConfigError
        An argument is out of range, or ``to`` holds something else.
    """
    require_at_least(("stores", stores, 2), ("skus", skus, 10), ("rows", rows, 1), ("seed", seed, 0))
    require_at_least(("kept_days", kept_days, 1))
    require_dirty_share(dirty_share)
    if (end - start).days < 364:
        raise ConfigError(f"end must be at least 52 weeks after start, got {start} and {end}")
    arguments = {
        "stores": stores, "skus": skus, "rows": rows, "seed": seed, "start": str(start), "end": str(end),
        "dirty_share": dirty_share, "kept_days": kept_days,
    }  # fmt: skip
    tell = progress or silent
    with replacing(to) as aside:
        (aside / PARAMETERS).write_text(json.dumps(arguments, indent=2) + "\n")
        tell("stores, products and promotions", 0.0)
        span = Span(to_day(start), to_day(end))
        world = draw_world(seed, stores, skus, span, partial(speed_shares, rows, ever_sold(skus)))
        series = draw_series(random_stream(seed, _ASSORTMENT), world, rows, span)
        delivery = _Delivery(seed, aside, world, series, dirty_share, kept_days, tell)
        report = delivery.write(stores, skus)
        tell("done", 1.0)
    return report


class _Delivery:
    """The open files of a delivery while its blocks are written."""

    def __init__(
        self,
        seed: int,
        to: Path,
        world: World,
        series: Series,
        dirty_share: float,
        kept_days: int,
        progress: Progress,
    ) -> None:
        self.seed, self.to, self.world, self.span = seed, to, world, world.span
        self.series, self.dirty_share, self.progress = series, dirty_share, progress
        self.kept_days = min(kept_days, len(world.span) - (world.span.stop - world.span.end))
        self.store_ids, self.sku_ids = world.stores.ids, world.products.ids
        self.dirt = random_stream(seed, _DIRT)
        self.planted: Planted = {}

    def write(self, stores: int, skus: int) -> GenerateReport:
        rows = self._small_tables()
        blocks = list(_blocks(self.series))
        truth = self.to / "truth"
        ids = ("store_id", "sku_id")
        with ExitStack() as stack:
            dirty = self.dirty_share > 0
            tills = Tills(
                random_stream(self.seed, _REPORTS), self.world, self.to / "sales", stack, dirty=dirty
            )
            stockroom = Stockroom(self.world, self.to, stack, tills.reported)
            latent = stack.enter_context(
                TableFile(truth / "latent_demand.parquet", LATENT_DEMAND.arrow_schema, encoded=ids)
            )
            drawn = stack.enter_context(TableFile(truth / "series.parquet", SERIES.arrow_schema, encoded=ids))
            units = np.zeros(self.world.open.shape)
            for number, series in enumerate(blocks, start=1):
                demand = draw_demand(random_stream(self.seed, _SHOPPING, number), self.world, series)
                sales = sell(random_stream(self.seed, _SHELF, number), self.world, series, demand)
                tills.append(series, demand, sales)
                stockroom.append(random_stream(self.seed, _STOCKROOM, number), series, sales)
                np.add.at(units, series.store, sales.sold)
                latent.append(
                    latent_table(
                        self.store_ids, self.sku_ids, series, demand, sales, self.span, self.kept_days
                    )
                )
                drawn.append(series_table(self.store_ids, self.sku_ids, series, self.world.products))
                self.progress(f"block {number} of {len(blocks)}", 0.05 + 0.93 * number / len(blocks))
        rows["sales"] = tills.rows + self._resent(tills)
        rows |= stockroom.rows
        counts = random_stream(self.seed, _CUSTOMERS)
        customers = customers_table(counts, self.world.stores, units, tills.reported, self.span)
        self.dirt = random_stream(self.seed, _CUSTOMERS_DIRT)
        rows |= self._write({"customers": customers})
        (truth / "planted_dirt.json").write_text(json.dumps(self.planted, indent=2) + "\n")
        return GenerateReport(
            stores=stores,
            skus=skus,
            seed=self.seed,
            start=to_date(self.span.start),
            end=to_date(self.span.end),
            series=len(self.series),
            rows=rows,
            truth_rows={"latent_demand": latent.rows, "series": drawn.rows},
            planted=self.planted,
        )

    # ---------------------------------------------------------------- all but sales

    def _small_tables(self) -> dict[str, int]:
        world, span, rng = self.world, self.span, random_stream(self.seed, _TABLES)
        tables = {
            "stores": stores_table(rng, world.stores, span),
            "products": products_table(rng, world.products, span),
            "promotions": promotions_table(world.promotions, world.products, world.stores),
            "weather_observed": observed_table(world.weather, world.stores.regions, span),
            "weather_forecasts": forecasts_table(world.weather, world.stores.regions, span),
            "calendar_events": events_table(world.stores, world.occasions, world.closures, span),
        }
        return self._write(tables)

    def _write(self, tables: dict[str, pa.Table]) -> dict[str, int]:
        """Write small tables, a file each; gives their rows."""
        rows = {}
        for layout in LAYOUTS:
            name = layout.table.name
            if name not in tables:
                continue
            schema = delivered_schema(layout.table, dirty=True)
            clean = tables[name].select(schema.names).cast(schema)
            clean = clean.filter(pc.less(clean[layout.known], self._extraction()))
            clean = clean.sort_by([(layout.known, "ascending")])
            with TableFile(
                self.to / f"{name}.parquet", delivered_schema(layout.table, dirty=self.dirty_share > 0)
            ) as file:
                file.append(clean)
                for bad in self._bad(layout.table.name, clean, len(clean)):
                    file.append(bad)
                rows[name] = file.rows
        return rows

    def _extraction(self) -> pa.Scalar:
        return pa.scalar(self.span.end * DAY_US, pa.int64()).cast(pa.timestamp("us"))

    def _bad(self, name: str, clean: pa.Table, rows: int) -> list[pa.Table]:
        if self.dirty_share == 0:
            return []
        layout = next(layout for layout in LAYOUTS if layout.table.name == name)
        wanted = max(1, round(rows * self.dirty_share))
        old = self.store_ids.filter(pa.array(self.world.stores.opened < self.span.start - 60))
        bad = []
        for defect, found in dirty_rows(
            self.dirt, layout, clean, rows=wanted, start=self.span.start, old_stores=old
        ):
            self._note(name, defect, found)
            bad.append(found)
        return bad

    def _note(self, table: str, defect: str, rows: pa.Table) -> None:
        counts = self.planted.setdefault(table, {})
        counts[defect] = counts.get(defect, 0) + len(rows)

    def _resent(self, tills: Tills) -> int:
        """Write the bad rows, in a file that is read after the months: the first of two rows is the good one."""
        if self.dirty_share == 0:
            return 0
        clean = pa.concat_tables([rows.cast(SALES.table.arrow_schema) for rows in tills.samples])
        bad = self._bad("sales", clean, tills.rows)
        each = max(1, round(tills.rows * self.dirty_share / 8))
        again = repeated(self.dirt, clean, each)
        self._note("sales", REPEATED, again)
        bad.append(again)
        stores = self.world.stores
        for store in np.flatnonzero(stores.closed < NEVER)[:1].tolist():
            late = after_closure(clean, self.store_ids[store].as_py(), int(stores.closed[store]), each)
            self._note("sales", AFTER_CLOSURE, late)
            bad.append(late)
        with TableFile(
            self.to / "sales" / "resent.parquet", delivered_schema(SALES.table, dirty=True)
        ) as file:
            for rows in bad:
                file.append(rows)
            return file.rows


def _blocks(series: Series) -> Iterator[Series]:
    """Series of consecutive stores, about ``BLOCK_SERIES`` at a time."""
    per_store = np.bincount(series.store)
    block = (np.cumsum(per_store) - 1) // BLOCK_SERIES
    for number in np.unique(block[per_store > 0]):
        yield series.take(np.flatnonzero(block[series.store] == number))
