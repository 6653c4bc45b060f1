-- `usable_from` is the first `as_of` that may use the order: the day after it was known, midnight included.
select
    cast(row_number() over (order by customers.customer_number, orders.ordered_at, orders.order_id) as integer)
        as order_number,
    customers.customer_number,
    orders.order_id,
    orders.ordered_on,
    cast(hour(orders.ordered_at) as integer) as ordered_hour,
    cast(isodow(orders.ordered_on) as integer) as weekday,
    cast(orders.known_at as date) + 1 as usable_from

from {{ ref('stg_repurchase__orders') }} as orders
inner join {{ ref('int_repurchase__customers') }} as customers using (customer_key)
where orders.known_at < (select max(known_before) from {{ ref('stg_run__as_of_dates') }})
