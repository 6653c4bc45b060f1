{#-
    The features of a candidate, in one place: today's scoring set and the stack of past days that models learn from
    are made by the same lines. Expects `candidates`, `products` (as of), `scope` and `history` (as of).
-#}
{% macro repurchase_candidate_columns() %}
    ---------- how often
    cast(candidates.times_bought as bigint) as times_bought,
    candidates.times_bought / cast(scope.orders as double) as order_share,
    candidates.times_bought / cast(candidates.first_number_back as double) as order_share_since_first,
    cast(bit_count(candidates.recent_orders & 7) as bigint) as bought_last_3,
    cast(bit_count(candidates.recent_orders & 31) as bigint) as bought_last_5,
    cast(bit_count(candidates.recent_orders & 1023) as bigint) as bought_last_10,

    ---------- how long ago
    cast(candidates.last_number_back - 1 as bigint) as orders_since_last,
    cast(candidates.as_of - candidates.last_bought_on as bigint) as days_since_last_bought,
    cast(candidates.as_of - candidates.first_bought_on as bigint) as days_since_first_bought,
    candidates.last_number_back = 1 as in_last_order,
    -- Ones at the low end of the bits: orders in a row, the last one included.
    cast(bit_count(xor(candidates.recent_orders, candidates.recent_orders + 1)) - 1 as bigint) as streak,

    ---------- own cycle against elapsed time
    {{ candidate_cycle('candidates.last_bought_on - candidates.first_bought_on') }} as cycle_days,
    {{ candidate_cycle('candidates.first_number_back - candidates.last_number_back') }} as cycle_orders,
    (candidates.as_of - candidates.last_bought_on)
        / nullif({{ candidate_cycle('candidates.last_bought_on - candidates.first_bought_on') }}, 0) as elapsed_vs_cycle_days,
    candidates.last_number_back
        / nullif({{ candidate_cycle('candidates.first_number_back - candidates.last_number_back') }}, 0)
        as elapsed_vs_cycle_orders,

    ---------- place and amount
    candidates.quantity_milli / 1000.0 / candidates.times_bought as quantity_mean,
    candidates.last_quantity_milli / 1000.0 as quantity_last,
    candidates.position_sum / cast(nullif(candidates.positions, 0) as double) as position_mean,
    cast(candidates.position_sum as double) / nullif(candidates.basket_lines_sum, 0) as position_share,

    ---------- the product at everybody's
    products.reorder_rate as product_reorder_rate,
    products.next_rate as product_next_rate,
    products.cycle_days as product_cycle_days,
    (candidates.as_of - candidates.last_bought_on) / nullif(products.cycle_days, 0) as elapsed_vs_product_cycle,
    cast(products.purchases as bigint) as product_purchases,
    cast(products.buyers as bigint) as product_buyers,
    cast(products.days_since_sold as bigint) as product_days_since_sold,
    cast(products.days_since_first_sold as bigint) as product_days_since_first_sold,
    products.share_7d as product_share_7d,
    products.share_28d as product_share_28d,
    products.share_91d as product_share_91d,
    products.trend_28d as product_trend_28d,
    products.aisle_reorder_rate,
    products.department_reorder_rate,
    coalesce(products.department, 'unknown') as department,
    products.price_cents / 100.0 as price_eur,

    ---------- the customer
    scope.orders as customer_orders,
    cast(candidates.as_of - scope.last_ordered_on as bigint) as customer_days_since_last,
    history.gap_mean_days as customer_gap_mean_days,
    history.gap_median_days as customer_gap_median_days,
    history.basket_mean_lines as customer_basket_mean_lines,
    cast(history.basket_last_lines as bigint) as customer_basket_last_lines,
    cast(history.line_sum - history.repeat_sum as bigint) as customer_products_tried,
    history.later_repeat_sum / cast(nullif(history.later_line_sum, 0) as double) as customer_repeat_share,
    history.later_repeat_sum / cast(nullif(history.later_baskets, 0) as double) as customer_repeat_lines_mean,
    history.repeat_sum_3 / cast(nullif(history.later_baskets_3, 0) as double) as customer_repeat_mean_3_lines,
    cast(history.repeat_last_lines as bigint) as customer_repeat_last_lines
{%- endmacro %}

{#- Mean step between the purchases of a product; null where there was one only. -#}
{% macro candidate_cycle(span) -%}
    (({{ span }}) / cast(nullif(candidates.times_bought - 1, 0) as double))
{%- endmacro %}
