"""Deliveries shared by the tests of the simulator; they are read, never written to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from pipelines.lab.simulation.churn import GenerateReport, generate
from pipelines.usecases.churn.layouts import LAYOUTS

#: Enough for 4,000 churned customers, on which the calibration is checked.
ACCOUNTS = 3_000


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, GenerateReport]:
    """A delivery of three years without planted defects."""
    folder = tmp_path_factory.mktemp("clean") / "delivery"
    return folder, generate(ACCOUNTS, 11, folder, dirty_share=0.0)


@pytest.fixture(scope="session")
def db(clean: tuple[Path, GenerateReport]) -> Iterator[duckdb.DuckDBPyConnection]:
    """The clean delivery as views named like the tables, and `risk` for the truth."""
    folder, _ = clean
    connection = duckdb.connect()
    connection.execute("set threads = 2")
    for layout in LAYOUTS:
        name = layout.table.name
        files = folder / name / "*.parquet" if (folder / name).is_dir() else folder / f"{name}.parquet"
        connection.execute(f"create view {name} as select * from read_parquet('{files}')")
    connection.execute(f"create view risk as select * from read_parquet('{folder}/truth/churn_risk.parquet')")
    # Every account in scope on the first of a month, with the strict label, straight from the definition.
    connection.execute(
        """
        create table labels as
        select risk.*, running.term_id, running.term_end,
            running.term_end <= as_of + 30 and not exists (
                select 1 from subscriptions later
                where later.account_id = risk.account_id and not later.is_trial
                    and later.term_start >= running.term_end and later.known_at < as_of + interval 31 day
            ) as churned
        from risk
        join subscriptions running
            on running.account_id = risk.account_id and not running.is_trial
            and running.term_start <= as_of and running.term_end > as_of and running.known_at < as_of
        where day(as_of) = 1 and as_of <= date '2025-12-01'
        """
    )
    yield connection
    connection.close()
