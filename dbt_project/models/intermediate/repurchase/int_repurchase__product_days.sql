-- What became usable of each product on each day: purchases, and orders that came next after one with the product.
select
    product_number,
    usable_from,
    min(ordered_on) as first_ordered_on,
    max(ordered_on) as last_ordered_on,
    cast(count(*) as integer) as purchases,
    cast(count(days_since_before) as integer) as repeats,
    cast(sum(days_since_before) as bigint) as repeat_days,
    cast(count(*) filter (where orders_since_before = 1) as integer) as bought_next,
    0 as had_next

from {{ ref('int_repurchase__lines') }}
group by 1, 2

union all

select
    product_number,
    greatest(usable_from, next_usable_from),
    null,
    null,
    0,
    0,
    null,
    0,
    cast(count(*) as integer)

from {{ ref('int_repurchase__lines') }}
where next_usable_from is not null
group by 1, 2
