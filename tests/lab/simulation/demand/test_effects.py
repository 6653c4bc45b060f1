"""What moves the demand can be seen in the sales, as large as it was meant to be."""

from __future__ import annotations

import duckdb
import pytest


def one(db: duckdb.DuckDBPyConnection, sql: str) -> tuple[float, ...]:
    row: tuple[float, ...] = db.execute(sql).fetchall()[0]
    return row


@pytest.fixture(scope="module")
def fast(db: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Adds `fast`: sales of fast series on open days, with their category and promotions of the product."""
    db.execute(
        """
        create or replace table promoted_days as
        select g.sku_id, store_id, region, discount,
            unnest(generate_series(starts_on, ends_on, interval 1 day))::date as ds
        from promoted p join goods g on p.sku_id = g.sku_id or p.sku_id is null and p.category = g.category;

        create or replace table fast as
        select s.store_id, s.sku_id, sold_on as ds, quantity, revenue_eur, category, stocked_out,
            max(p.discount) as discount
        from sales s join series using (store_id, sku_id) join goods g using (sku_id) join shops h using (store_id)
        left join promoted_days p on p.sku_id = s.sku_id and p.ds = sold_on
            and coalesce(p.store_id, s.store_id) = s.store_id and coalesce(p.region, h.region) = h.region
        where speed = 'fast' and sold_on between first_on + 60 and coalesce(last_on, date '2026-01-05') - 30
        group by all
        """
    )
    return db


def test_promotions_lift_sales_and_the_weeks_after_pay_for_it(fast: duckdb.DuckDBPyConnection) -> None:
    during, after = one(
        fast,
        """
        with levels as (
            select *, exp(avg(ln(quantity)) filter (discount is null) over (
                    partition by store_id, sku_id, isodow(ds) order by ds range between 70 preceding and 70 following
                )) as usual,
                max(case when discount is not null then ds end) over (
                    partition by store_id, sku_id order by ds range between 5 preceding and 1 preceding
                ) as ended
            from fast where quantity > 0
        )
        select median(quantity / usual) filter (discount >= 0.15 and not stocked_out),
            median(quantity / usual) filter (discount is null and ended is not null) from levels
        """,
    )
    assert 1.5 < during < 2.6
    assert 0.80 < after < 0.97


def test_discounts_are_taken_off_the_price(fast: duckdb.DuckDBPyConnection) -> None:
    share, paid = one(
        fast,
        """
        with prices as (
            select f.*, (
                select arg_max(list_price_eur, known_at) from products p
                where p.sku_id = f.sku_id and known_at < f.ds
            ) as price
            from (from fast where ds >= date '2025-06-01' and quantity > 0) f
        )
        select avg((discount is not null)::int),
            max(abs(revenue_eur - quantity * price * (1 - coalesce(discount, 0)))) from prices
        """,
    )
    assert 0.03 < share < 0.25
    assert paid < 0.01


def test_prices_rise_and_demand_minds(fast: duckdb.DuckDBPyConnection) -> None:
    changes, dearer = one(
        fast,
        """
        select count(*) / 3.0 / (select count(*) from goods where delisted_on is null and launched_on < '2023-01-02'),
            avg((list_price_eur > before)::int)
        from (
            select list_price_eur, lag(list_price_eur) over (partition by sku_id order by known_at) as before
            from products semi join (from goods where delisted_on is null and launched_on < '2023-01-02')
                using (sku_id)
        ) where list_price_eur <> before
        """,
    )
    assert 0.8 < changes < 1.5
    assert dearer > 0.6


def test_weeks_have_a_shape_that_depends_on_the_category(fast: duckdb.DuckDBPyConnection) -> None:
    shape = dict(
        fast.execute(
            """
            select calm, avg(quantity) filter (isodow(ds) = 6) / avg(quantity) filter (isodow(ds) = 2)
            from (
                select *, case when category in ('dry_grocery', 'coffee_tea', 'canned', 'hygiene', 'household',
                    'baby_pet', 'dairy') then 'calm' when category in ('beer_wine', 'meat_fish', 'salads_barbecue')
                    then 'busy' end as calm
                from fast where discount is null
            ) group by calm
            """
        ).fetchall()
    )
    assert 1.0 < shape["calm"] < 1.15
    assert shape["busy"] > 1.4


def test_years_have_a_shape_that_depends_on_category_and_clientele(db: duckdb.DuckDBPyConnection) -> None:
    summer = dict(
        db.execute(
            """
            select category, sum(quantity) filter (month(sold_on) = 7) / sum(quantity) filter (month(sold_on) = 1)
            from sales join goods using (sku_id) where year(sold_on) < 2026 group by category
            """
        ).fetchall()
    )
    assert summer["ice_cream"] > 2.5
    assert summer["soups"] < 0.6
    assert 0.8 < summer["canned"] < 1.6
    august = dict(
        db.execute(
            """
            select clientele, sum(quantity) filter (month(sold_on) = 8) / sum(quantity) filter (month(sold_on) = 11)
            from sales join shops using (store_id) join goods using (sku_id)
            where category in ('dairy', 'canned', 'bakery', 'hygiene', 'fruit_vegetables')
                and (clientele = 'residential' or region in ('Bretagne', 'Provence-Alpes-Cote d''Azur'))
            group by clientele
            """
        ).fetchall()
    )
    assert august["tourist"] > 1.25 > 1.1 > august["residential"]


def test_feasts_are_shopped_for(db: duckdb.DuckDBPyConnection) -> None:
    christmas, easter = one(
        db,
        """
        select avg(units) filter (category = 'chocolate' and month(day) = 12 and day(day) between 18 and 24)
                / avg(units) filter (category = 'chocolate' and month(day) = 11 and day(day) < 25),
            -- Easter moves: 9 April 2023, 31 March 2024, 20 April 2025.
            avg(units) filter (category = 'chocolate' and (day between '2023-04-05' and '2023-04-08'
                    or day between '2024-03-27' and '2024-03-30' or day between '2025-04-16' and '2025-04-19'))
                / avg(units) filter (category = 'chocolate' and (day between '2023-03-08' and '2023-03-18'
                    or day between '2024-02-28' and '2024-03-09' or day between '2025-03-19' and '2025-03-29'))
        from (
            select category, sold_on as day, sum(quantity) as units from sales join goods using (sku_id) group by all
        )
        """,
    )
    assert christmas > 1.5
    assert easter > 1.5


def test_warm_days_sell_ice_cream_and_forecasts_of_them_grow_better(db: duckdb.DuckDBPyConnection) -> None:
    heat = dict(
        db.execute(
            """
            with warmth as (
                select region, observed_on as day, temperature_c - avg(temperature_c) over (
                    partition by region order by observed_on range between 20 preceding and 20 following) as more
                from weather_observed
            ),
            levels as (
                select category, region, sold_on as day, sum(quantity) as units from sales
                join goods using (sku_id) join shops using (store_id) group by all
            ),
            relative as (
                select *, units / avg(units) over (partition by category, region, isodow(day)
                    order by day range between 35 preceding and 35 following) as level
                from levels
            )
            select category, avg(level) filter (more > 4) / avg(level) filter (more < -4)
            from relative join warmth using (region, day) group by category
            """
        ).fetchall()
    )
    assert heat["ice_cream"] > 1.15
    assert heat["soups"] < 0.92
    assert 0.9 < heat["dairy"] < 1.1
    errors = [
        row[0]
        for row in db.execute(
            """
            select avg(abs(f.temperature_c - o.temperature_c)) from weather_forecasts f
            join weather_observed o on o.region = f.region and observed_on = valid_on
            group by valid_on - issued_at::date order by valid_on - issued_at::date
            """
        ).fetchall()
    ]
    assert errors == sorted(errors)
    assert 0.5 < errors[0] < 1.0
    assert 1.5 < errors[-1] < 2.6


def test_new_products_start_slowly_and_some_are_new_on_the_last_day(db: duckdb.DuckDBPyConnection) -> None:
    start, new_share = one(
        db,
        """
        select sum(quantity) filter (sold_on - first_on < 7)
                / sum(quantity) filter (sold_on - first_on between 42 and 48),
            (select avg((first_on > date '2025-07-07')::int) from series where last_on is null)
        from sales join series using (store_id, sku_id) join goods using (sku_id)
        where first_on > date '2023-02-01' and first_on < date '2025-11-01'
            and launched_on between first_on - 15 and first_on
        """,
    )
    assert 0.25 < start < 0.65
    assert 0.05 < new_share < 0.25


def test_assortments_differ_but_share_a_core(db: duckdb.DuckDBPyConnection) -> None:
    carried = dict(
        db.execute(
            """
            select speed, avg(stores) / (select count(*) from shops) from (
                select speed, sku_id, count(*) as stores from series group by all
            ) group by speed
            """
        ).fetchall()
    )
    assert carried["fast"] > 0.3
    assert carried["intermittent"] < 0.8 * carried["fast"]
    units = dict(
        db.execute(
            "select speed, avg(quantity) from sales join series using (store_id, sku_id) group by speed"
        ).fetchall()
    )
    assert units["fast"] > 60 > 10 > units["medium"] > 2 > units["slow"] > 1
    (same,) = one(
        db,
        "select count(*) from (select list(sku_id order by sku_id) as range from series group by store_id)"
        " group by range order by 1 desc limit 1",
    )
    assert same == 1
