with

series as (

    select
        series.*,
        coalesce(products.category, 'unknown') as category

    from {{ ref('int_demand__series_as_of') }} as series
    left join {{ ref('int_demand__products_as_of') }} as products using (as_of, sku_id)
    where series.scope_reason is null

),

days as (

    select
        series.*,
        unnest(range(parameters.horizon_days + 1)) as horizon

    from series
    cross join {{ ref('int_demand__parameters') }} as parameters

),

promos as (

    select * from {{ ref('int_demand__promo_ahead') }}

),

-- Series of a category in promotion in a store on a day.
categories as (

    select
        series.as_of,
        series.store_id,
        series.category,
        promos.ds,
        count(*) as promos

    from promos
    inner join series using (as_of, series_id)
    where promos.discount is not null
    group by 1, 2, 3, 4

)

select

    ---------- keys
    days.as_of,
    days.store_id,
    days.sku_id,
    days.as_of + cast(days.horizon as integer) as ds,
    days.horizon,

    ---------- promotion, as announced
    coalesce(promos.discount, 0.0) as promo_discount,
    coalesce(promos.mechanic, 'none') as promo_mechanic,
    coalesce(promos.promo_day, 0) as promo_day,
    coalesce(promos.promo_days_left, 0) as promo_days_left,
    least(
        coalesce(promos.days_since_promo, 28),
        coalesce(date_diff('day', days.last_promo_on, days.as_of) + days.horizon, 28),
        28
    ) as days_since_promo,
    coalesce(categories.promos, 0) - cast(promos.discount is not null as bigint) as category_promos,

    ---------- price
    days.price

from days
left join promos
    on days.as_of = promos.as_of
    and days.series_id = promos.series_id
    and days.as_of + cast(days.horizon as integer) = promos.ds
left join categories
    on days.as_of = categories.as_of
    and days.store_id = categories.store_id
    and days.category = categories.category
    and days.as_of + cast(days.horizon as integer) = categories.ds
