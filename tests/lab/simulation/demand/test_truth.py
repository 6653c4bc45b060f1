"""The truth and the deliveries fit together: nothing sold that nobody wanted, nothing hidden."""

from __future__ import annotations

from pathlib import Path

import duckdb

from pipelines.lab.simulation.demand import GenerateReport


def one(db: duckdb.DuckDBPyConnection, sql: str) -> tuple[float, ...]:
    row: tuple[float, ...] = db.execute(sql).fetchall()[0]
    return row


def test_sales_are_the_demand_as_far_as_there_was_stock(db: duckdb.DuckDBPyConnection) -> None:
    above, hidden, cut, full = one(
        db,
        "select count(*) filter (sold > demand), count(*) filter (sold < demand and not stocked_out),"
        " count(*) filter (sold < demand), count(*) filter (not stocked_out and sold = demand) from latent_demand",
    )
    assert (above, hidden) == (0, 0)
    assert cut > 50
    assert full > 100 * cut


def test_delivered_rows_are_those_of_the_truth(
    db: duckdb.DuckDBPyConnection, clean: tuple[Path, GenerateReport]
) -> None:
    differing, missing, beyond = one(
        db,
        f"""
        select count(*) filter (s.quantity <> l.sold or s.stocked_out <> l.stocked_out or l.ds is null),
            count(*) filter (s.quantity is null and l.ds < date '{clean[1].end}' and (l.sold > 0 or l.stocked_out)
                and (l.store_id, l.ds) in (select (store_id, sold_on) from sales)),
            count(*) filter (s.quantity is not null and l.ds >= date '{clean[1].end}')
        from latent_demand l full join (from sales where sold_on >= date '2025-11-06') s
            on s.store_id = l.store_id and s.sku_id = l.sku_id and s.sold_on = l.ds
        """,
    )
    assert (differing, missing, beyond) == (0, 0, 0)
    first, last = one(db, "select min(ds)::varchar, max(ds)::varchar from latent_demand")
    assert (first, last) == ("2025-11-06", "2026-01-24")


def test_a_row_is_a_sale_or_a_stock_out(db: duckdb.DuckDBPyConnection) -> None:
    neither, sold_out, shares = one(
        db,
        "select count(*) filter (quantity = 0 and not stocked_out), count(*) filter (stocked_out and on_hand > 0),"
        " avg(stocked_out::int) from sales",
    )
    assert (neither, sold_out) == (0, 0)
    assert 0.01 < shares < 0.06


def test_stores_sell_on_the_days_on_which_their_calendar_calls_them_open(
    db: duckdb.DuckDBPyConnection,
) -> None:
    on_closed, on_open = one(
        db,
        "select count(*) filter (not is_open), count(*) filter (is_open) from opening"
        " semi join sales on sales.store_id = opening.store_id and sold_on = ds",
    )
    assert on_closed == 0
    (open_days,) = one(db, "select count(*) from opening where is_open and ds < date '2025-12-20'")
    assert on_open > 0.99 * open_days
    (expected_on_closed,) = one(
        db,
        "select count(*) from latent_demand join opening using (store_id, ds) where not is_open and expected > 0",
    )
    assert expected_on_closed == 0


def test_demand_is_spread_around_its_expectation_as_told(db: duckdb.DuckDBPyConnection) -> None:
    mean, spread = one(
        db,
        """
        select avg(z), stddev(z) from (
            -- 0.03 is the surprise that the products of a store's day share.
            select (demand - expected) / sqrt(expected + (dispersion + 0.03 ** 2) * expected ** 2) as z
            from latent_demand join series using (store_id, sku_id) where expected > 5
        )
        """,
    )
    assert abs(mean) < 0.03
    assert 0.95 < spread < 1.05


def test_the_best_forecast_of_the_core_meets_the_targets(db: duckdb.DuckDBPyConnection) -> None:
    # Below twenty units a day nobody could: counting alone makes an error of 18 %.
    series, error = one(
        db,
        "select count(distinct (store_id, sku_id)), avg(abs(demand - expected) / demand) from latent_demand"
        " join series using (store_id, sku_id) where speed = 'fast' and expected >= 20 and demand > 0",
    )
    assert series > 50
    assert 0.06 < error < 0.105
