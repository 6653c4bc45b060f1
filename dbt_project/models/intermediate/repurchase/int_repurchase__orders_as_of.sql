-- The orders of each customer as known at the start of each day, numbered from the newest backwards, with the days
-- since the order before and the basket as far as its lines were known.
with

days as (

    select
        as_of_dates.as_of,
        as_of_dates.wants_features,
        parameters.history_days

    from {{ ref('stg_run__as_of_dates') }} as as_of_dates
    cross join {{ ref('int_repurchase__parameters') }} as parameters
    where as_of_dates.wants_features

),

orders as (

    select
        days.as_of,
        orders.customer_number,
        orders.order_number,
        orders.ordered_on,
        orders.ordered_hour,
        orders.weekday

    from {{ ref('int_repurchase__orders') }} as orders
    inner join days
        on orders.usable_from <= days.as_of
        and orders.ordered_on >= days.as_of - days.history_days

),

baskets as (

    select
        days.as_of,
        baskets.order_number,
        cast(sum(baskets.lines) as integer) as lines,
        cast(sum(baskets.repeat_lines) as integer) as repeat_lines,
        cast(sum(baskets.quantity_milli) as bigint) as quantity_milli

    from {{ ref('int_repurchase__baskets') }} as baskets
    inner join days on baskets.usable_from <= days.as_of
    group by 1, 2

)

select
    orders.*,
    cast(row_number() over backwards as integer) as number_back,
    cast(date_diff('day', lead(orders.ordered_on) over backwards, orders.ordered_on) as integer) as gap_days,
    baskets.lines,
    baskets.repeat_lines,
    baskets.quantity_milli

from orders
left join baskets using (as_of, order_number)
window backwards as (partition by as_of, customer_number order by order_number desc)
