"""What the simulator delivers keeps the contract of the raw tables."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow.dataset as pa_dataset
import pyarrow.parquet as pq
import pytest

from features.schemas import DType
from pipelines.lab.simulation.churn import GenerateReport
from pipelines.lab.simulation.churn.truth import CHURN_RISK
from pipelines.sources.layout import RawLayout
from pipelines.usecases.churn.layouts import LAYOUTS, PRODUCT_FEATURES

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


def test_the_truth_has_exactly_the_declared_schema(clean: tuple[Path, GenerateReport]) -> None:
    file = pq.ParquetFile(clean[0] / "truth" / "churn_risk.parquet")
    assert file.schema_arrow.equals(CHURN_RISK.arrow_schema)
    assert file.metadata.num_rows == clean[1].truth_rows


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
        if column.nullable:
            assert count(db, f"select 1 from {name} where {column.name} is null") > 0, column.name


@by_table
def test_rows_keep_the_rules_between_columns(db: duckdb.DuckDBPyConnection, layout: RawLayout) -> None:
    for rule in layout.rules:
        broken = count(db, f"select 1 from {layout.table.name} where not ({rule.holds})")
        assert broken == 0, f"{rule.column} must {rule.words}"


@by_table
def test_keys_are_unique_and_references_exist(db: duckdb.DuckDBPyConnection, layout: RawLayout) -> None:
    name, keys = layout.table.name, ", ".join(layout.table.key)
    assert count(db, f"select {keys} from {name} group by {keys} having count(*) > 1") == 0
    for column, table, other in layout.references:
        assert count(db, f"select 1 from {name} where {column} not in (select {other} from {table})") == 0


def test_nothing_is_known_before_it_happened_or_after_the_extraction(
    db: duckdb.DuckDBPyConnection, clean: tuple[Path, GenerateReport]
) -> None:
    happened = {
        "accounts": "signed_up_on",
        "usage_events": "used_on + 1",
        "invoices": "greatest(issued_on, coalesce(paid_on, issued_on))",
        "support_tickets": "greatest(opened_at, coalesce(closed_at, opened_at))",
    }
    for table, moment in happened.items():
        assert count(db, f"select 1 from {table} where known_at < {moment}") == 0, table
    # A contract is booked ahead of its first day, but not before the customer is one.
    signed = "select account_id, min(signed_up_on) as day from accounts group by 1"
    assert (
        count(db, f"select 1 from subscriptions join ({signed}) using (account_id) where known_at < day") == 0
    )
    for layout in LAYOUTS:
        late = f"select 1 from {layout.table.name} where known_at >= timestamp '{clean[1].end}'"
        assert count(db, late) == 0, layout.table.name


def test_terms_of_an_account_do_not_overlap_and_renewals_are_contiguous(
    db: duckdb.DuckDBPyConnection,
) -> None:
    follow = """
        select *, lag(term_end) over w as before, lag(subscription_id) over w as contract_before
        from subscriptions window w as (partition by account_id order by term_start)
    """
    assert count(db, f"from ({follow}) where before > term_start") == 0
    renewed = f"from ({follow}) where subscription_id = contract_before"
    assert count(db, renewed) > 10_000
    assert count(db, f"{renewed} and before <> term_start") == 0


def test_features_used_are_sorted_names_of_product_features(db: duckdb.DuckDBPyConnection) -> None:
    distinct = [row[0] for row in db.execute("select distinct features_used from usage_events").fetchall()]
    assert len(distinct) > 100
    for text in distinct:
        names = text.split("|") if text else []
        assert names == sorted(set(names) & set(PRODUCT_FEATURES)), text


def test_versions_tell_a_life_cycle(db: duckdb.DuckDBPyConnection) -> None:
    first = "row_number() over (partition by {} order by known_at) = 1"
    invoices = f"select *, {first.format('invoice_id')} as first from invoices"
    tickets = f"select *, {first.format('ticket_id')} as first from support_tickets"
    assert count(db, f"from ({invoices}) where first <> (status = 'issued')") == 0
    assert count(db, f"from ({tickets}) where first <> (status = 'open')") == 0
    ends = {row[0] for row in db.execute("select distinct status from invoices").fetchall()}
    assert ends == {"issued", "paid", "failed", "disputed", "refunded", "written_off"}


def test_volumes_are_realistic(db: duckdb.DuckDBPyConnection) -> None:
    (rows,) = db.execute("select count(*) from usage_events").fetchall()[0]
    (days,) = db.execute(
        "select sum(greatest(0, least(term_end, date '2026-01-05') - greatest(term_start, date '2023-01-02')))"
        " from subscriptions"
    ).fetchall()[0]
    assert 0.4 <= rows / days <= 0.6
    late = count(db, "select 1 from usage_events where known_at > used_on + interval 2 day") / rows
    assert 0.008 < late < 0.012
    weekend = count(db, "select 1 from usage_events where isodow(used_on) > 5") / rows
    assert 0.01 < weekend < 0.12
