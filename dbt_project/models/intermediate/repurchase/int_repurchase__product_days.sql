-- Purchases of each product by the first `as_of` that may use them.
select
    product_number,
    usable_from,
    cast(count(*) as integer) as purchases,
    cast(count(days_since_before) as integer) as repeats,
    cast(sum(days_since_before) as bigint) as repeat_days

from {{ ref('int_repurchase__lines') }}
group by 1, 2
