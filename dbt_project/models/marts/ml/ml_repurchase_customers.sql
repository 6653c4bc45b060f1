with

shop as (

    -- The season as the shop itself shows it: everybody's orders of four weeks against the four before.
    select
        as_of,
        {{ smoothed_ratio(
            'count(*) filter (where as_of - ordered_on <= 28)',
            'count(*) filter (where as_of - ordered_on between 29 and 56)', 5
        ) }} as shop_trend_28d

    from {{ ref('int_repurchase__orders_as_of') }}
    group by as_of

)

select

    ---------- keys and scope
    scope.as_of,
    customers.customer_key,
    scope.in_scope,
    case when not scope.in_scope then 'lapsed' end as scope_reason,

    ---------- gaps and their spread
    cast(scope.as_of - scope.last_ordered_on as bigint) as days_since_last,
    cast(history.gap_last_days as bigint) as gap_last_days,
    cast(history.gap_before_last_days as bigint) as gap_before_last_days,
    cast(history.gap_third_last_days as bigint) as gap_third_last_days,
    history.gap_mean_days,
    history.gap_median_days,
    history.gap_spread_days,
    history.gap_quartile_range_days,
    cast(history.gap_min_days as bigint) as gap_min_days,
    cast(history.gap_max_days as bigint) as gap_max_days,
    history.gap_mean_3_days,
    history.days_since_last / nullif(history.gap_mean_days, 0) as elapsed_vs_mean,
    history.days_since_last / nullif(history.gap_median_days, 0) as elapsed_vs_median,
    history.longer_gaps / cast(nullif(history.gaps, 0) as double) as longer_gaps_share,
    cast(history.longer_gap_sum as double) / nullif(history.longer_gaps, 0) - history.days_since_last
        as longer_gaps_ahead_days,

    ---------- tenure and rate
    scope.orders,
    cast(scope.as_of - scope.first_ordered_on as bigint) as tenure_days,
    coalesce(history.orders_28d, 0) as orders_28d,
    coalesce(history.orders_91d, 0) as orders_91d,

    ---------- recent trend
    history.gap_mean_3_days / nullif(history.gap_mean_days, 0) as gap_trend,
    case when scope.as_of - scope.first_ordered_on >= 182 then
        {{ smoothed_ratio('coalesce(history.orders_91d, 0)', 'coalesce(history.orders_prev_91d, 0)', 1) }}
    end as orders_trend_91d,
    history.line_sum_3 / cast(nullif(history.baskets_3, 0) as double) / history.basket_mean_lines as basket_trend,
    shop.shop_trend_28d,

    ---------- basket
    history.basket_mean_lines,
    history.basket_spread_lines,
    history.line_sum_3 / cast(nullif(history.baskets_3, 0) as double) as basket_mean_3_lines,
    cast(history.basket_last_lines as bigint) as basket_last_lines,
    cast(history.basket_min_lines as bigint) as basket_min_lines,
    cast(history.basket_max_lines as bigint) as basket_max_lines,
    history.quantity_sum / 1000.0 / history.line_sum as units_per_line,
    cast(history.line_sum - history.repeat_sum as bigint) as products_tried,
    history.later_repeat_sum / cast(nullif(history.later_line_sum, 0) as double) as repeat_share,
    history.later_repeat_sum / cast(nullif(history.later_baskets, 0) as double) as repeat_lines_mean,
    history.repeat_sum_3 / cast(nullif(history.later_baskets_3, 0) as double) as repeat_mean_3_lines,
    cast(history.repeat_last_lines as bigint) as repeat_last_lines,
    cast(history.repeat_max_lines as bigint) as repeat_max_lines,
    history.baskets_without_repeat / cast(nullif(history.later_baskets, 0) as double) as no_repeat_share,

    ---------- hours and weekdays
    history.hour_sum / cast(scope.orders as double) as hour_mean,
    {{ spread('scope.orders', 'history.hour_sum', 'history.hour_squares') }} as hour_spread,
    cast(history.hour_last as bigint) as hour_last,
    history.morning_orders / cast(scope.orders as double) as morning_share,
    history.evening_orders / cast(scope.orders as double) as evening_share,
    {%- for day in ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'] %}
    history.weekday_counts[{{ loop.index }}] / cast(scope.orders as double) as {{ day }}_share,
    {%- endfor %}
    cast(history.usual_weekday as bigint) as usual_weekday,
    history.usual_weekday_orders / cast(scope.orders as double) as usual_weekday_share,
    cast(history.weekday_last as bigint) as weekday_last,
    cast(isodow(scope.as_of) as bigint) as weekday_today,
    cast((history.usual_weekday - isodow(scope.as_of) + 7) % 7 as bigint) as days_to_usual_weekday

from {{ ref('int_repurchase__scope_as_of') }} as scope
inner join {{ ref('int_repurchase__customers') }} as customers using (customer_number)
left join {{ ref('int_repurchase__customers_as_of') }} as history using (as_of, customer_number)
left join shop using (as_of)
where scope.wants_features
