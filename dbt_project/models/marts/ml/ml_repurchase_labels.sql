select
    nexts.as_of,
    customers.customer_key,
    nexts.days_to_next,
    nexts.order_number is null as censored,
    nexts.observed_days,
    nexts.order_id as next_order_id,
    nexts.lines as next_lines,
    nexts.repeat_lines as next_repeat_lines,
    nexts.known_before as label_known_on

from {{ ref('int_repurchase__next_orders') }} as nexts
inner join {{ ref('int_repurchase__customers') }} as customers using (customer_number)
