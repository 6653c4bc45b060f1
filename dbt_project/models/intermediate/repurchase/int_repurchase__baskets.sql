-- Usually one row per order: its lines became known together.
select
    order_number,
    usable_from,
    cast(count(*) as integer) as lines,
    cast(count(days_since_before) as integer) as repeat_lines,
    cast(sum(quantity_milli) as bigint) as quantity_milli

from {{ ref('int_repurchase__lines') }}
group by order_number, usable_from
