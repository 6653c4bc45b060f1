"""The simulated bank: repeatable, within its contract, with causes that show and chances that are true."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.dataset as pa_dataset
import pyarrow.parquet as pq
import pytest

from pipelines.errors import ConfigError
from pipelines.lab.simulation.propensity import DEFAULT_END, HORIZON_DAYS, GenerateReport, generate
from pipelines.lab.simulation.propensity.dirt import DEFECTS
from pipelines.lab.simulation.propensity.products import NAMES
from pipelines.lab.simulation.propensity.span import months_of
from pipelines.lab.simulation.propensity.truth import TABLES
from pipelines.sources.layout import RawLayout
from pipelines.usecases.propensity.layouts import LAYOUTS

CUSTOMERS = 6_000


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, GenerateReport]:
    """A clean delivery; it is read, never written to."""
    folder = tmp_path_factory.mktemp("bank") / "delivery"
    return folder, generate(CUSTOMERS, 7, folder, dirty_share=0)


@pytest.fixture(scope="module")
def db(clean: tuple[Path, GenerateReport]) -> Iterator[duckdb.DuckDBPyConnection]:
    folder, _ = clean
    con = duckdb.connect()
    con.execute("set threads = 2")
    for name in ("customers/*", "holdings/*", "campaigns/*", *(table.name for table in TABLES)):
        table = name.removesuffix("/*").removeprefix("truth/")
        con.execute(f"create view {table} as select * from read_parquet('{folder / name}.parquet')")
    yield con
    con.close()


def one(db: duckdb.DuckDBPyConnection, query: str) -> tuple[float, ...]:
    (row,) = db.sql(query).fetchall()
    return tuple(row)


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("first", 3), ("second", 3), ("other", 4)):
        generate(60, seed, tmp_path / name, start=date(2025, 6, 1))
    first, second, other = (digests(tmp_path / name) for name in ("first", "second", "other"))
    assert first == second
    assert first["holdings/2025-09.parquet"] != other["holdings/2025-09.parquet"]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.table.name)
def test_files_keep_their_contract(
    clean: tuple[Path, GenerateReport], db: duckdb.DuckDBPyConnection, layout: RawLayout
) -> None:
    folder, report = clean
    name = layout.table.name
    files = sorted((folder / name).iterdir())
    for file in files:
        assert pq.read_schema(file).equals(layout.table.arrow_schema), file.name
    assert pa_dataset.dataset(files).count_rows() == report.rows[name] > 0
    broken = [f"not ({rule.holds})" for rule in layout.rules]
    for column in layout.table.columns:
        broken += [f"{column.name} is null"] * (not column.nullable)
        broken += [f"{column.name} < {column.minimum}"] * (column.minimum is not None)
        broken += [f"{column.name} not in {column.allowed}"] * (column.allowed is not None)
    broken += [
        f"known_at >= timestamp '{DEFAULT_END}'",
        "customer_id not in (select customer_id from customers)",
    ]
    for condition in broken:
        assert one(db, f"select count(*) from {name} where {condition}") == (0,), condition
    keys = ", ".join(layout.table.key)
    assert one(db, f"select count(*), count(distinct ({keys})) from {name}")[0] == report.rows[name]
    assert one(db, f"select count(distinct ({keys})) from {name}") == (report.rows[name],)


def test_chances_come_true(db: duckdb.DuckDBPyConnection) -> None:
    """In every tenth of the chances, and for every product, as many take it as the chances say."""
    for group in ("ntile(10) over (order by chance)", "product"):
        rows = db.sql(
            f"""
            select {group} as part, chance, taken_on is not null as took
            from chances left join taken using (customer_id, product)
            """
        ).aggregate(
            "part, sum(chance) as expected, sum(chance * (1 - chance)) as variance, sum(took::int) as took"
        )
        for part, expected, variance, took in rows.fetchall():
            assert took == pytest.approx(expected, abs=4.5 * np.sqrt(variance) + 0.05 * expected), part


def test_chances_tell_people_apart(db: duckdb.DuckDBPyConnection) -> None:
    (ratio,) = one(
        db,
        """
        select avg(chance) filter (where taken_on is not null) / avg(chance) from chances
        left join taken using (customer_id, product) where product not in ('current account', 'debit card')
        """,
    )
    assert ratio > 2.5


def test_what_is_taken_was_not_held_and_lies_in_the_horizon(db: duckdb.DuckDBPyConnection) -> None:
    last = DEFAULT_END + timedelta(days=HORIZON_DAYS)
    assert one(
        db,
        f"select min(taken_on) >= date '{DEFAULT_END}', max(taken_on) < date '{last}', count(*) > 500 from taken",
    ) == (True, True, True)
    held = "select customer_id, product from holdings where month_end = date '2025-12-31'"
    assert one(db, f"select count(*) from chances semi join ({held}) using (customer_id, product)") == (0,)
    assert one(db, "select count(*) from taken anti join chances using (customer_id, product)") == (0,)


def test_holdings_answer_needs_and_each_other(db: duckdb.DuckDBPyConnection) -> None:
    def share(product: str, beside: str) -> float:
        (found,) = one(
            db,
            f"""
            with held as (select customer_id, list(product) as held from holdings
                          where month_end = date '2025-12-31' group by 1)
            select avg(list_contains(held, '{product}')::int) filter (where list_contains(held, '{beside}'))
                / avg(list_contains(held, '{product}')::int) from held
            """,
        )
        return found

    assert share("home insurance", "mortgage") > 2
    assert share("card terminal", "business account") > 5
    assert share("gold account", "overdraft") < 1
    (needed,) = one(
        db,
        """
        select corr(need_investing, (product is not null)::int) from people left join (
            select customer_id, product from holdings
            where month_end = date '2025-12-31' and product = 'securities account'
        ) using (customer_id)
        """,
    )
    assert needed > 0.3


def test_campaigns_respect_consent_and_move_people(db: duckdb.DuckDBPyConnection) -> None:
    assert one(
        db,
        "select count(*) from campaigns semi join (from customers where not consents_to_marketing) using (customer_id)",
    ) == (0,)
    after = db.sql(
        """
        with contacts as (
            select contact_id, customer_id, product, any_value(contacted_on) as contacted_on,
                bool_or(response = 'interested') as interested
            from campaigns where contacted_on < date '2025-09-01' group by 1, 2, 3
        )
        select interested, avg((opened_on is not null)::int) from contacts left join (
            select distinct customer_id, product, opened_on from holdings
        ) as opened on opened.customer_id = contacts.customer_id and opened.product = contacts.product
            and opened_on between contacted_on and contacted_on + 75
        group by 1
        """
    )
    took = dict(after.fetchall())
    assert took[True] > 2 * took[False]


def test_answers_come_after_the_contact(db: duckdb.DuckDBPyConnection) -> None:
    assert one(
        db, "select count(*) from campaigns where response <> 'none' and known_at::date <= contacted_on"
    ) == (0,)
    assert one(db, "select count(*) filter (where response = 'interested') > 100 from campaigns") == (True,)


def test_dirt_is_counted_and_comes_on_top(tmp_path: Path) -> None:
    report = generate(300, 5, tmp_path / "dirty", start=date(2025, 6, 1), dirty_share=0.01)
    clean = generate(300, 5, tmp_path / "clean", start=date(2025, 6, 1), dirty_share=0)
    planted = json.loads((tmp_path / "dirty" / "truth" / "planted_dirt.json").read_text())
    assert planted == report.planted
    for name, defects in DEFECTS.items():
        assert set(planted[name]) == {defect.name for defect in defects}
        assert report.rows[name] == clean.rows[name] + sum(planted[name].values())
        resent = tmp_path / "dirty" / name / "resent.parquet"
        assert pq.read_metadata(resent).num_rows == sum(planted[name].values())


def test_months_know_their_part_of_the_span() -> None:
    start, end = ((day - date(1970, 1, 1)).days for day in (date(2026, 1, 5), date(2026, 4, 5)))
    months = months_of(start, end)
    assert [month.days for month in months] == [31, 28, 31, 30]
    assert [month.part for month in months] == pytest.approx([27 / 31, 1, 1, 4 / 30])
    assert len(NAMES) == 24


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"customers": 5}, "--customers must be at least 20"),
        ({"start": date(2025, 6, 2)}, "start must be the first of a month"),
        ({"dirty_share": 0.5}, "dirty_share must be in"),
    ],
)
def test_arguments_out_of_range_are_refused(tmp_path: Path, arguments: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        generate(**{"customers": 50, "seed": 0, "to": tmp_path / "x", **arguments})  # type: ignore[arg-type]
