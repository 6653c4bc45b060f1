-- A line is a repeat if the customer had bought the product before, by what was known when the line became
-- usable: the rows before it in the order (usable_from, ordered_on) are known whenever it is, so the flag does
-- not depend on `as_of`, late rows included.
with

lines as (

    select
        orders.order_number,
        orders.customer_number,
        products.product_number,
        orders.ordered_on,
        orders.sequence,
        greatest(orders.usable_from, cast(lines.known_at as date) + 1) as usable_from,
        orders.next_usable_from,
        lines.quantity_milli,
        lines.position

    from {{ ref('stg_repurchase__order_lines') }} as lines
    inner join {{ ref('int_repurchase__orders') }} as orders using (order_id)
    inner join {{ ref('int_repurchase__products') }} as products using (product_id)
    where lines.known_at < (select max(known_before) from {{ ref('stg_run__as_of_dates') }})

)

select
    *,
    -- Not below 0 where a late row tells of an earlier order; greatest() would also turn the null of a first into 0.
    case
        when lag(ordered_on) over before is not null
            then cast(greatest(ordered_on - lag(ordered_on) over before, 0) as integer)
    end as days_since_before,
    cast(sequence - lag(sequence) over before as integer) as orders_since_before

from lines
window before as (
    partition by customer_number, product_number
    order by usable_from, ordered_on, order_number
)
