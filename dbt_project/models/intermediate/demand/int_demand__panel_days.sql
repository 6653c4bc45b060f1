-- Every day of every active series at the newest as_of, from its first sale (or the start of the history) to
-- yesterday. A row of sales is stretched to the day before the next one: that makes the dense panel from one
-- pass over the rows, and carries the last regular price along, without a join of all series with all days.
with

series as (

    select
        series.series_id,
        series.store_id,
        series.sku_id,
        series.as_of,
        greatest(series.first_sold_on, series.as_of - parameters.history_days) as first_day

    from {{ ref('int_demand__series_as_of') }} as series
    inner join {{ ref('stg_run__as_of_dates') }} as as_of_dates using (as_of)
    cross join {{ ref('int_demand__parameters') }} as parameters
    where
        series.scope_reason is null
        and as_of_dates.as_of = as_of_dates.known_before

),

calendar as (

    select store_days.store_id, store_days.ds, store_days.is_open
    from {{ ref('int_demand__store_days') }} as store_days
    inner join {{ ref('stg_run__as_of_dates') }} as as_of_dates using (as_of)
    where as_of_dates.as_of = as_of_dates.known_before

),

list_prices as (

    select
        series.series_id,
        products.list_price,
        products.valid_from,
        products.valid_until

    from series
    inner join {{ ref('int_demand__product_versions') }} as products using (sku_id)
    where products.list_price is not null

),

stretches as (

    select
        series.*,
        sales.sold_on,
        sales.quantity_milli,
        sales.is_stockout,
        lead(sales.sold_on, 1, series.as_of) over by_day as next_sold_on,
        last_value(sales.regular_price ignore nulls) over (
            by_day rows between unbounded preceding and current row
        ) as price

    from {{ ref('int_demand__sales') }} as sales
    inner join series using (series_id)
    window by_day as (partition by sales.series_id order by sales.sold_on)

),

days as (

    select
        * exclude (sku_id, first_day, next_sold_on),
        greatest(sold_on, first_day) + cast(
            unnest(range(date_diff('day', greatest(sold_on, first_day), next_sold_on))) as integer
        ) as ds

    from stretches
    where next_sold_on > first_day

)

select
    days.series_id,
    days.store_id,
    days.ds,
    case
        when days.ds = days.sold_on then days.quantity_milli
        when reports.ds is not null or not calendar.is_open then 0
    end as quantity_milli,
    days.ds = days.sold_on and days.is_stockout as is_stockout,
    coalesce(calendar.is_open, true) as is_open,
    promo_days.discount,
    coalesce(list_prices.list_price, days.price) as price,
    -- A closed day has nothing to report and is known when it is over.
    coalesce(reports.reported_on, case when not calendar.is_open then days.ds + 1 end) as reported_on

from days
left join calendar using (store_id, ds)
left join {{ ref('int_demand__store_reports') }} as reports
    on days.store_id = reports.store_id
    and days.ds = reports.ds
left join {{ ref('int_demand__promo_days') }} as promo_days
    on days.series_id = promo_days.series_id
    and days.ds = promo_days.ds
left join list_prices
    on days.series_id = list_prices.series_id
    and days.ds >= list_prices.valid_from
    and days.ds < list_prices.valid_until
