"""The generator of the shop: repeatable, honest about what it planted, and made of households that run out of things."""

# ruff: noqa: DTZ001 - times in the lake are UTC without a zone

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import duckdb
import pytest

from pipelines.errors import ConfigError
from pipelines.lab.simulation.dirt import CONFLICT
from pipelines.lab.simulation.repurchase import GenerateReport, generate
from pipelines.lab.simulation.repurchase.dirt import DEFECTS
from pipelines.settings import Settings
from pipelines.sources.ingest import ingest

CUSTOMERS = 900
END = date(2026, 1, 5)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, GenerateReport]:
    """A clean delivery; it is read, never written to."""
    folder = tmp_path_factory.mktemp("shop") / "delivery"
    return folder, generate(CUSTOMERS, 7, folder, dirty_share=0)


@pytest.fixture(scope="module")
def db(clean: tuple[Path, GenerateReport]) -> Iterator[duckdb.DuckDBPyConnection]:
    """The delivery as tables; lines with their customer and the days since the product was bought before."""
    folder, _ = clean
    con = duckdb.connect()
    con.execute("set threads = 2")
    for name in ("orders/*", "order_lines/*", "products", "truth/households", "truth/repertoire",
                 "truth/next_orders", "truth/next_lines"):  # fmt: skip
        table = name.removesuffix("/*").removeprefix("truth/")
        con.execute(f"create view {table} as select * from read_parquet('{folder / name}.parquet')")
    con.execute(
        """
        create table bought as
        select o.customer_id, l.product_id, l.order_id, l.ordered_on, l.position,
            l.ordered_on - lag(l.ordered_on) over (
                partition by o.customer_id, l.product_id order by o.ordered_at, l.order_id
            ) as days_since
        from order_lines l join orders o using (order_id)
        """
    )
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
        generate(40, seed, tmp_path / name, start=date(2025, 6, 2))
    first, second, other = (digests(tmp_path / name) for name in ("first", "second", "other"))
    assert first == second
    assert first["orders/2025-09.parquet"] != other["orders/2025-09.parquet"]


def test_it_has_the_size_of_a_grocer(
    clean: tuple[Path, GenerateReport], db: duckdb.DuckDBPyConnection
) -> None:
    _, report = clean
    orders, lines = report.rows["orders"], report.rows["order_lines"]
    assert one(db, "select (select count(*) from orders), (select count(*) from order_lines)") == (
        orders,
        lines,
    )
    assert 14 < orders / CUSTOMERS < 20
    assert 7.5 < lines / orders < 11
    before = "lag(ordered_at::date) over (partition by customer_id order by ordered_at)"
    gaps = f"(select ordered_at::date - {before} as gap from orders)"
    median, short, long = one(
        db, f"select median(gap), quantile_cont(gap, 0.1), quantile_cont(gap, 0.9) from {gaps}"
    )
    assert 7 <= median <= 15
    assert short < median / 2
    assert long > 2 * median
    (again,) = one(db, "select avg((days_since is not null)::int) from bought")
    assert 0.5 < again < 0.8


def test_what_has_run_low_is_bought_again(db: duckdb.DuckDBPyConnection) -> None:
    """The probability to buy again rises with the days since, measured in the days that a pack lasts."""
    rows = db.sql(
        """
        with chances as (
            select r.lasts_days, r.loyalty, o.ordered_at::date as day, o.order_id,
                max(case when b.order_id is not null then o.ordered_at::date end) over (
                    partition by r.customer_id, r.product_id order by o.ordered_at
                    rows between unbounded preceding and 1 preceding
                ) as last_day,
                b.order_id is not null as bought
            from repertoire r join orders o using (customer_id)
            left join bought b on b.order_id = o.order_id and b.product_id = r.product_id
            where o.ordered_at::date >= r.taken_up_on and o.ordered_at::date < coalesce(r.given_up_on, date '9999-01-01')
        )
        select least(floor(4 * (day - last_day) / lasts_days), 8) as used_up, avg(bought::int / loyalty), count(*)
        from chances where last_day is not null group by 1 order by 1
        """
    ).fetchall()
    shares = [share for _, share, n in rows if n > 200]
    assert len(shares) >= 7
    assert shares[0] < 0.1
    assert shares[-1] > 0.8
    assert shares == sorted(shares)


def test_habits_show_in_weekdays_places_and_seasons(db: duckdb.DuckDBPyConnection) -> None:
    (usual, chance) = one(
        db,
        """
        select avg((isodow(ordered_at) = usual_weekday)::int) filter (where habit > 0.6),
            avg((isodow(ordered_at) = usual_weekday)::int) filter (where habit < 0.15)
        from orders join households using (customer_id)
        """,
    )
    assert usual > 0.5 > 0.35 > chance
    (habits, tried) = one(
        db,
        "select avg(position) filter (where days_since is not null), avg(position) filter (where days_since is null)"
        " from bought where order_id in (select order_id from bought group by 1 having count(*) = 8)",
    )
    assert habits < tried
    (summer, winter) = one(
        db,
        """
        select count(*) filter (where month(ordered_on) in (6, 7, 8) and aisle = 'ice cream (frozen)')
                / count(*) filter (where month(ordered_on) in (6, 7, 8)),
            count(*) filter (where month(ordered_on) in (12, 1, 2) and aisle = 'ice cream (frozen)')
                / count(*) filter (where month(ordered_on) in (12, 1, 2))
        from bought join (select distinct product_id, aisle from products) using (product_id)
        where ordered_on >= date '2025-01-01'
        """,
    )
    assert summer > winter


def test_the_truth_goes_on_after_the_end(db: duckdb.DuckDBPyConnection) -> None:
    last_known, first, last, twice = one(
        db,
        "select (select max(known_at)::date from orders), min(ordered_on), max(ordered_on),"
        " count(*) - count(distinct customer_id) from next_orders",
    )
    assert str(last_known) < str(END)
    assert str(END) <= str(first) <= str(last) < "2026-03-06"
    assert twice == 0
    strangers, left = one(
        db,
        "select count(*) filter (where customer_id not in (select customer_id from orders)),"
        " count(*) filter (where ordered_on >= left_on) from next_orders join households using (customer_id)",
    )
    assert (strangers, left) == (0, 0)
    without, again = one(
        db,
        "select (select count(*) from next_orders anti join next_lines using (customer_id)),"
        " (select avg((b.customer_id is not null)::int) from next_lines n"
        "  left join (select distinct customer_id, product_id from bought) b using (customer_id, product_id))",
    )
    assert without == 0
    assert 0.5 < again < 0.95


def test_planted_rows_are_the_ones_that_are_quarantined(tmp_path: Path) -> None:
    report = generate(60, 1, tmp_path / "files", start=date(2025, 6, 2), dirty_share=0.01)
    landed = ingest(
        "repurchase",
        tmp_path / "files",
        settings=Settings(var=tmp_path / "var"),
        ingested_at=datetime(2026, 1, 5),
        quality_checks=False,
    )
    for table in landed.tables:
        planted = report.planted[table.table]
        assert set(planted) == {defect.name for defect in DEFECTS[table.table]}
        assert table.read == report.rows[table.table]
        assert table.quarantined == sum(planted.values())
    rules = {rule: n for table in landed.tables for rule, n in table.rules.items()}
    assert rules["row must keep the content of its key"] == report.planted["order_lines"][CONFLICT]
    assert rules["order_id must exist in orders.order_id"] == report.planted["order_lines"]["unknown_order"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"customers": 5}, "--customers must be at least 20, got 5"),
        ({"seed": -1}, "--seed must be at least 0, got -1"),
        ({"dirty_share": 0.5}, "dirty_share must be in"),
        ({"end": date(2024, 7, 8)}, "at least 12 weeks after start"),
    ],
)
def test_arguments_out_of_range_are_refused(tmp_path: Path, arguments: dict[str, object], words: str) -> None:
    given: dict[str, object] = {"customers": 50, "seed": 0, "to": tmp_path / "out"}
    with pytest.raises(ConfigError, match=words):
        generate(**(given | arguments))  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()
