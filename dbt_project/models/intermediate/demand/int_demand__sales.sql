-- Sales known before the newest as_of, each with the first as_of that may use it and the regular price it
-- shows: what was paid on a day without promotion.
with

sales as (

    select
        *,
        greatest(cast(known_at as date), sold_on) + 1 as usable_from

    from {{ ref('stg_demand__sales') }}

)

select
    series.series_id,
    sales.sold_on,
    sales.quantity_milli,
    sales.is_stockout,
    sales.usable_from,
    case when promo_days.discount is null then sales.paid_price end as regular_price

from sales
inner join {{ ref('int_demand__series') }} as series using (store_id, sku_id)
left join {{ ref('int_demand__promo_days') }} as promo_days
    on series.series_id = promo_days.series_id
    and sales.sold_on = promo_days.ds
where sales.usable_from <= (select max(as_of) from {{ ref('stg_run__as_of_dates') }})
