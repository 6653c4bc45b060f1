-- Sales of the window known before each as_of. Money is in thousandths of a cent: quantities are whole
-- thousandths and prices whole cents, and whole numbers add up the same in any order.
with

windows as (

    select
        as_of_dates.as_of,
        as_of_dates.as_of - parameters.history_days as first_day

    from {{ ref('stg_run__as_of_dates') }} as as_of_dates
    cross join {{ ref('int_clustering__parameters') }} as parameters

),

sales as (

    select
        *,
        greatest(cast(known_at as date), sold_on) + 1 as usable_from

    from {{ ref('stg_demand__sales') }}
    where sold_on >= (select min(first_day) from windows)

)

select
    windows.as_of,
    series.series_id,
    sales.store_id,
    sales.sku_id,
    sales.sold_on as ds,
    sales.quantity_milli,
    sales.quantity_milli * cast(round(sales.paid_price * 100) as bigint) as revenue_millicents,
    promo_days.discount is not null as is_promo

from sales
inner join windows
    on sales.usable_from <= windows.as_of
    and sales.sold_on >= windows.first_day
inner join {{ ref('int_demand__series') }} as series using (store_id, sku_id)
left join {{ ref('int_demand__promo_days') }} as promo_days
    on series.series_id = promo_days.series_id
    and sales.sold_on = promo_days.ds
where sales.quantity_milli > 0
