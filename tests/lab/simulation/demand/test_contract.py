"""What the simulator delivers keeps the contract of the raw tables."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow.dataset as pa_dataset
import pyarrow.parquet as pq
import pytest

from features.schemas import DType, Table
from pipelines.lab.simulation.demand import GenerateReport
from pipelines.lab.simulation.demand.truth import LATENT_DEMAND, SERIES
from pipelines.sources.layout import RawLayout
from pipelines.usecases.demand.layouts import LAYOUTS

by_table = pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.table.name)


def count(db: duckdb.DuckDBPyConnection, sql: str) -> int:
    return int(db.execute(f"select count(*) from ({sql})").fetchall()[0][0])


@by_table
def test_files_have_exactly_the_declared_schema(
    clean: tuple[Path, GenerateReport], layout: RawLayout
) -> None:
    folder, report = clean
    name = layout.table.name
    files = sorted((folder / name).iterdir()) if (folder / name).is_dir() else [folder / f"{name}.parquet"]
    assert files
    for file in files:
        assert pq.read_schema(file).equals(layout.table.arrow_schema), file.name
    assert pa_dataset.dataset(files).count_rows() == report.rows[name] > 0


@pytest.mark.parametrize("table", [LATENT_DEMAND, SERIES], ids=lambda table: table.name)
def test_the_truth_has_exactly_the_declared_schema(clean: tuple[Path, GenerateReport], table: Table) -> None:
    file = pq.ParquetFile(clean[0] / f"{table.name}.parquet")
    assert file.schema_arrow.equals(table.arrow_schema)
    assert file.metadata.num_rows == clean[1].truth_rows[table.name.removeprefix("truth/")] > 0


@by_table
def test_values_keep_the_rules_of_their_columns(db: duckdb.DuckDBPyConnection, layout: RawLayout) -> None:
    name = layout.table.name
    for column in layout.table.columns:
        broken = []
        if not column.nullable:
            broken.append(f"{column.name} is null")
        if column.minimum is not None:
            broken.append(f"{column.name} < {column.minimum}")
        if column.maximum is not None:
            broken.append(f"{column.name} > {column.maximum}")
        if column.allowed is not None:
            broken.append(f"{column.name} not in {column.allowed}")
        if column.dtype is DType.NUMBER:
            broken.append(f"not isfinite({column.name})")
        if broken:
            assert count(db, f"select 1 from {name} where {' or '.join(broken)}") == 0, column.name


@by_table
def test_rows_keep_the_rules_between_columns(db: duckdb.DuckDBPyConnection, layout: RawLayout) -> None:
    for rule in layout.rules:
        broken = count(db, f"select 1 from {layout.table.name} where not ({rule.holds})")
        assert broken == 0, f"{rule.column} must {rule.words}"
    for period in layout.periods:
        outside = f"{period.column} < {period.first} or {period.column} > {period.last}"
        assert (
            count(db, f"from {layout.table.name} join shops using ({period.reference}) where {outside}") == 0
        )


@by_table
def test_keys_are_unique_and_references_exist(db: duckdb.DuckDBPyConnection, layout: RawLayout) -> None:
    name, keys = layout.table.name, ", ".join(layout.table.key)
    assert count(db, f"select {keys} from {name} group by {keys} having count(*) > 1") == 0
    for column, table, other in layout.references:
        broken = f"select 1 from {name} where {column} not in (select {other} from {table})"
        assert count(db, broken) == 0


def test_nothing_is_known_before_it_happened_or_after_the_extraction(
    db: duckdb.DuckDBPyConnection, clean: tuple[Path, GenerateReport]
) -> None:
    for layout in LAYOUTS:
        late = f"from {layout.table.name} where {layout.known} >= timestamp '{clean[1].end}'"
        assert count(db, late) == 0, layout.table.name
    # The tills report in the evening, in time for the night's forecast, but for some days.
    assert count(db, "from sales where known_at < sold_on + interval 20 hour") == 0
    assert count(db, "from weather_observed where known_at < observed_on + interval 20 hour") == 0
    days = "select distinct store_id, sold_on, known_at from sales"
    assert count(db, f"select store_id, sold_on from ({days}) group by all having count(*) > 1") == 0
    late_share = count(db, f"from ({days}) where known_at >= sold_on + 1") / count(db, days)
    assert 0.004 < late_share < 0.013


def test_what_is_planned_is_known_ahead(db: duckdb.DuckDBPyConnection) -> None:
    first = (
        "select starts_on - announced_at::date as days from promotions"
        " qualify row_number() over (partition by promo_id order by announced_at) = 1"
    )
    days = f"select min(days), median(days), max(days) from ({first})"
    shortest, median, longest = db.execute(days).fetchall()[0]
    assert 0 <= shortest <= 8
    assert 35 < median < 55
    assert 80 < longest <= 91  # announced twelve weeks ahead, and moved a week forward
    leads = db.execute(
        "select distinct valid_on - issued_at::date from weather_forecasts order by all"
    ).fetchall()
    assert leads == [(lead,) for lead in range(1, 8)]
    # Some promotions are changed or called off before they start.
    again = "from promotions qualify row_number() over (partition by promo_id order by announced_at) = 2"
    assert count(db, f"from ({again}) where announced_at >= starts_on") == 0
    assert count(db, f"from ({again}) where status = 'cancelled'") > 20
    assert count(db, f"from ({again}) where status = 'planned'") > 50
    horizon = "select max(starts_on) from calendar_events where kind = '{}'"
    for kind in ("public_holiday", "school_holiday", "closure"):
        assert str(db.execute(horizon.format(kind)).fetchall()[0][0]) > "2026-02-01", kind
    refurbished = "from happened where name = 'Refurbishment' and known_at > starts_on - 25"
    assert count(db, refurbished) == 0 < count(db, "from happened where name = 'Refurbishment'")
