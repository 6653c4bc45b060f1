-- The first order on or after each day, by what was known `settle_days` before the run's day: an order may become
-- known late, so that the newest days are not over yet. Customers without one are censored, not dropped.
with

days as (

    select
        as_of_dates.as_of,
        as_of_dates.known_before,
        as_of_dates.known_before - parameters.settle_days as observed_until

    from {{ ref('stg_run__as_of_dates') }} as as_of_dates
    cross join {{ ref('int_repurchase__parameters') }} as parameters
    where as_of_dates.as_of < as_of_dates.known_before - parameters.settle_days

),

baskets as (

    select
        order_number,
        sum(lines) as lines,
        sum(repeat_lines) as repeat_lines

    from {{ ref('int_repurchase__baskets') }}
    group by order_number

),

nexts as (

    select
        days.as_of,
        orders.customer_number,
        min(orders.order_number) as order_number

    from {{ ref('int_repurchase__orders') }} as orders
    inner join days
        on orders.ordered_on >= days.as_of
        and orders.ordered_on < days.observed_until
    group by 1, 2

)

select
    scope.as_of,
    scope.customer_number,
    nexts.order_number,
    orders.order_id,
    cast(orders.ordered_on - scope.as_of as bigint) as days_to_next,
    cast(days.observed_until - scope.as_of as bigint) as observed_days,
    days.known_before,
    cast(baskets.lines as bigint) as lines,
    cast(baskets.repeat_lines as bigint) as repeat_lines

from {{ ref('int_repurchase__scope_as_of') }} as scope
inner join days using (as_of)
left join nexts using (as_of, customer_number)
left join {{ ref('int_repurchase__orders') }} as orders using (order_number)
left join baskets using (order_number)
where scope.in_scope
