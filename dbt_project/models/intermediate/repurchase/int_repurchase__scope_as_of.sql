-- Every customer known at the start of each day, by the orders within the history; those whose last order is long
-- ago are out of scope.
with

days as (

    select
        as_of_dates.as_of,
        as_of_dates.wants_features,
        parameters.history_days,
        parameters.active_days

    from {{ ref('stg_run__as_of_dates') }} as as_of_dates
    cross join {{ ref('int_repurchase__parameters') }} as parameters

)

select
    days.as_of,
    orders.customer_number,
    any_value(days.wants_features) as wants_features,
    count(*) filter (where orders.ordered_on >= days.as_of - days.history_days) as orders,
    min(orders.ordered_on) as first_ordered_on,
    max(orders.ordered_on) as last_ordered_on,
    max(orders.ordered_on) >= any_value(days.as_of - days.active_days) as in_scope

from {{ ref('int_repurchase__orders') }} as orders
inner join days on orders.usable_from <= days.as_of
group by 1, 2
