-- `usable_from` is the first `as_of` that may use the order: the day after it was known, midnight included.
-- `sequence` numbers the orders of a customer as they became known and `next_usable_from` is when the next one did:
-- an order that becomes known late changes neither for those before it.
with

numbered as (

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

)

select
    *,
    cast(row_number() over as_known as integer) as sequence,
    lead(usable_from) over as_known as next_usable_from

from numbered
window as_known as (partition by customer_number order by usable_from, order_number)
