"""One clean delivery shared by the tests of the simulator; it is read, never written to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from pipelines.lab.simulation.demand import GenerateReport, generate
from pipelines.usecases.demand.layouts import LAYOUTS

#: Enough for a hundred fast series, on which effects can be seen.
STORES, SKUS, ROWS = 14, 320, 300_000


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, GenerateReport]:
    """A delivery of three years without planted defects."""
    folder = tmp_path_factory.mktemp("clean_demand") / "delivery"
    return folder, generate(STORES, SKUS, ROWS, 5, folder, dirty_share=0.0)


@pytest.fixture(scope="session")
def db(clean: tuple[Path, GenerateReport]) -> Iterator[duckdb.DuckDBPyConnection]:
    """The clean delivery as views named like the tables, with `latent` and `series` for the truth.

    `days` adds to the latent demand what was known of a day: region, category, clientele, the promotion
    as it took place, and whether the calendar calls the store open.
    """
    folder, _ = clean
    connection = duckdb.connect()
    connection.execute("set threads = 2")
    for layout in LAYOUTS:
        name = layout.table.name
        files = folder / name / "*.parquet" if (folder / name).is_dir() else folder / f"{name}.parquet"
        connection.execute(f"create view {name} as select * from read_parquet('{files}')")
    for name in ("latent_demand", "series"):
        connection.execute(
            f"create view {name} as select * from read_parquet('{folder}/truth/{name}.parquet')"
        )
    connection.execute(
        """
        create table shops as
        select * from stores qualify row_number() over (partition by store_id order by known_at desc) = 1;
        create table goods as
        select * from products qualify row_number() over (partition by sku_id order by known_at desc) = 1;
        create table happened as
        select * from calendar_events
        qualify row_number() over (partition by event_id order by known_at desc) = 1;
        create table promoted as
        select * from (
            from promotions qualify row_number() over (partition by promo_id order by announced_at desc) = 1
        )
        where status = 'planned';
        create table opening as
        select store_id, ds, (opens_sunday or isodow(ds) < 7) and ds >= opened_on
            and ds <= coalesce(closed_on, ds) and not exists (
                select 1 from happened h where kind = 'closure' and ds between starts_on and ends_on
                and (h.store_id is null or h.store_id = shops.store_id)
            ) as is_open
        from shops, (select unnest(generate_series(date '2023-01-02', date '2026-01-24', interval 1 day))::date as ds)
        """
    )
    yield connection
    connection.close()
