-- Spreads come from sums of squares in whole numbers: they do not depend on the order in which threads add.
with

orders as (

    select
        *,
        as_of - ordered_on as age_days

    from {{ ref('int_repurchase__orders_as_of') }}

),

summed as (

    select
        as_of,
        customer_number,

        ---------- gaps
        min(age_days) as days_since_last,
        max(gap_days) filter (where number_back = 1) as gap_last_days,
        max(gap_days) filter (where number_back = 2) as gap_before_last_days,
        max(gap_days) filter (where number_back = 3) as gap_third_last_days,
        count(gap_days) as gaps,
        sum(gap_days) as gap_sum,
        sum(gap_days * gap_days) as gap_squares,
        sum(gap_days) filter (where number_back <= 3) as gap_sum_3,
        count(gap_days) filter (where number_back <= 3) as gaps_3,
        min(gap_days) as gap_min_days,
        max(gap_days) as gap_max_days,
        quantile_cont(gap_days, [0.25, 0.5, 0.75]) as gap_quantiles,
        list(gap_days) filter (where gap_days is not null) as gap_list,

        ---------- orders in windows
        count(*) filter (where age_days <= 28) as orders_28d,
        count(*) filter (where age_days <= 91) as orders_91d,
        count(*) filter (where age_days between 92 and 182) as orders_prev_91d,

        ---------- baskets: of orders whose lines are known
        count(lines) as baskets,
        sum(lines) as line_sum,
        sum(lines * lines) as line_squares,
        sum(lines) filter (where number_back <= 3) as line_sum_3,
        count(lines) filter (where number_back <= 3) as baskets_3,
        max(lines) filter (where number_back = 1) as basket_last_lines,
        min(lines) as basket_min_lines,
        max(lines) as basket_max_lines,
        sum(quantity_milli) as quantity_sum,
        sum(repeat_lines) as repeat_sum,
        count(lines) filter (where gap_days is not null) as later_baskets,
        sum(lines) filter (where gap_days is not null) as later_line_sum,
        sum(repeat_lines) filter (where gap_days is not null) as later_repeat_sum,
        count(lines) filter (where gap_days is not null and repeat_lines = 0) as baskets_without_repeat,
        max(repeat_lines) filter (where gap_days is not null and number_back = 1) as repeat_last_lines,
        max(repeat_lines) filter (where gap_days is not null) as repeat_max_lines,
        sum(repeat_lines) filter (where gap_days is not null and number_back <= 3) as repeat_sum_3,
        count(lines) filter (where gap_days is not null and number_back <= 3) as later_baskets_3,

        ---------- hours and weekdays
        sum(ordered_hour) as hour_sum,
        sum(ordered_hour * ordered_hour) as hour_squares,
        max(ordered_hour) filter (where number_back = 1) as hour_last,
        max(weekday) filter (where number_back = 1) as weekday_last,
        count(*) filter (where ordered_hour < 12) as morning_orders,
        count(*) filter (where ordered_hour >= 17) as evening_orders,
        [
            {%- for day in range(1, 8) %}
            count(*) filter (where weekday = {{ day }}){{ "," if not loop.last }}
            {%- endfor %}
        ] as weekday_counts

    from orders
    group by 1, 2

)

select
    summed.*,
    gap_sum / cast(nullif(gaps, 0) as double) as gap_mean_days,
    gap_sum_3 / cast(nullif(gaps_3, 0) as double) as gap_mean_3_days,
    {{ spread('gaps', 'gap_sum', 'gap_squares') }} as gap_spread_days,
    gap_quantiles[2] as gap_median_days,
    gap_quantiles[3] - gap_quantiles[1] as gap_quartile_range_days,
    len(list_filter(gap_list, lambda gap: gap >= days_since_last)) as longer_gaps,
    list_sum(list_filter(gap_list, lambda gap: gap >= days_since_last)) as longer_gap_sum,
    line_sum / cast(nullif(baskets, 0) as double) as basket_mean_lines,
    {{ spread('baskets', 'line_sum', 'line_squares') }} as basket_spread_lines,
    list_max(weekday_counts) as usual_weekday_orders,
    list_position(weekday_counts, list_max(weekday_counts)) as usual_weekday

from summed
