{{ config(materialized='view') }}
-- What each customer bought of each product, by what was known at the start of each day. One pass without windows:
-- `recent_orders` has a bit per order, the lowest for the last one, from which streaks and counts of the newest
-- orders are read. Past days, on which only training looks, keep a sample of the customers.
with

orders as (

    select
        orders.as_of,
        orders.customer_number,
        orders.order_number,
        orders.ordered_on,
        orders.number_back,
        orders.lines

    from {{ ref('int_repurchase__orders_as_of') }} as orders
    inner join {{ ref('int_repurchase__scope_as_of') }} as scope using (as_of, customer_number)
    cross join {{ ref('int_repurchase__parameters') }} as parameters
    where
        scope.in_scope
        and (
            orders.as_of = (select max(known_before) from {{ ref('stg_run__as_of_dates') }})
            or orders.customer_number <= parameters.training_customers
        )

)

select
    orders.as_of,
    orders.customer_number,
    lines.product_number,
    cast(count(*) as integer) as times_bought,
    cast(min(orders.number_back) as integer) as last_number_back,
    cast(max(orders.number_back) as integer) as first_number_back,
    max(orders.ordered_on) as last_bought_on,
    min(orders.ordered_on) as first_bought_on,
    bit_or(case when orders.number_back <= 62 then cast(1 as bigint) << (orders.number_back - 1) else 0 end)
        as recent_orders,
    cast(sum(lines.quantity_milli) as bigint) as quantity_milli,
    arg_min(lines.quantity_milli, orders.number_back) as last_quantity_milli,
    cast(sum(lines.position) as bigint) as position_sum,
    cast(count(lines.position) as integer) as positions,
    cast(sum(orders.lines) filter (where lines.position is not null) as bigint) as basket_lines_sum

from {{ ref('int_repurchase__lines') }} as lines
inner join orders
    on lines.order_number = orders.order_number
    and lines.usable_from <= orders.as_of
group by 1, 2, 3
