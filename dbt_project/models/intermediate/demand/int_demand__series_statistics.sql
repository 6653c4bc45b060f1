-- Statistics of the history of each active series at the newest as_of. Days of stock-out are left out where
-- they would lie about the demand; closed and unreported days wherever days are counted.
with

days as (

    select
        *,
        quantity_milli is not null and is_open as is_counted,
        quantity_milli is not null and is_open and not is_stockout as is_complete

    from {{ ref('int_demand__panel_days') }}

),

sums as (

    select
        series_id,
        count(*) as history_days,
        min(ds) as first_day,
        max(ds) as last_day,
        sum(date_diff('day', date '2000-01-01', ds)) as day_sum,
        count(*) filter (where is_counted) as counted_days,
        count(*) filter (where quantity_milli > 0) as sold_days,
        count(*) filter (where is_counted and is_stockout) as stockout_days,
        count(*) filter (where is_counted and discount is not null) as promo_days,
        coalesce(sum(quantity_milli), 0) as sold,
        coalesce(sum(quantity_milli) filter (where discount is not null), 0) as promo_sold,

        count(*) filter (where is_complete) as complete_days,
        coalesce(sum(quantity_milli) filter (where is_complete), 0) as complete_sold,
        min(quantity_milli) filter (where is_complete) as least_sold,
        max(quantity_milli) filter (where is_complete) as most_sold,
        count(*) filter (where is_complete and discount is null) as regular_days,
        coalesce(sum(quantity_milli) filter (where is_complete and discount is null), 0) as regular_sold,

        count(*) filter (where is_complete and quantity_milli > 0) as demand_days,
        sum(cast(quantity_milli as hugeint) * quantity_milli)
            filter (where is_complete and quantity_milli > 0) as demand_ss

    from days
    group by 1

)

select
    series_id,
    history_days,
    first_day,
    last_day,
    day_sum,
    complete_days,
    sold_days,
    least_sold,
    most_sold,
    sold,
    complete_sold / 1000.0 / nullif(complete_days, 0) as mean_quantity,
    complete_days / cast(nullif(demand_days, 0) as double) as adi,
    -- Squared coefficient of variation of the days with demand: n * sum(q^2) / sum(q)^2 - 1.
    greatest(
        demand_days * cast(demand_ss as double) / nullif(cast(complete_sold as double) * complete_sold, 0) - 1, 0
    ) as cv2,
    (complete_days - demand_days) / cast(nullif(complete_days, 0) as double) as zero_share,
    promo_days / cast(nullif(counted_days, 0) as double) as promo_day_share,
    promo_sold / cast(nullif(sold, 0) as double) as promo_volume_share,
    (complete_sold - regular_sold) / cast(nullif(complete_days - regular_days, 0) as double)
    / nullif(regular_sold / cast(nullif(regular_days, 0) as double), 0) as promo_uplift,
    stockout_days / cast(nullif(counted_days, 0) as double) as stockout_share

from sums
