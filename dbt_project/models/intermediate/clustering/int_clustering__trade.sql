-- What each store takes, from how many customers, and how much of it in promotion.
-- The uplift of promotions compares each product with itself: what it sold on its days in promotion, over what
-- it would have sold on as many days without.
with

products as (

    select
        as_of,
        store_id,
        sku_id,
        count(*) filter (where is_promo) as promo_days,
        sum(quantity_milli) filter (where is_promo) as promo_milli,
        count(*) filter (where not is_promo) as regular_days,
        sum(quantity_milli) filter (where not is_promo) as regular_milli

    from {{ ref('int_clustering__sales') }}
    group by 1, 2, 3

),

uplifts as (

    select
        as_of,
        store_id,
        sum(promo_days) as promo_days,
        sum(promo_days + regular_days) as product_days,
        sum(promo_milli) filter (where regular_days > 0) as promo_milli,
        sum(cast(round(promo_days * (regular_milli / cast(regular_days as double))) as bigint))
            filter (where regular_days > 0 and promo_days > 0) as expected_milli

    from products
    group by 1, 2

),

takings as (

    select
        as_of,
        store_id,
        count(revenue_millicents) as revenue_days,
        sum(revenue_millicents) as revenue_millicents,
        count(customers) as customer_days,
        sum(customers) as customers,
        sum(revenue_millicents) filter (where customers > 0) as served_millicents,
        sum(customers) filter (where revenue_millicents is not null) as served_customers,
        sum(quantity_milli) as quantity_milli,
        sum(promo_quantity_milli) as promo_quantity_milli

    from {{ ref('int_clustering__store_days') }}
    group by 1, 2

),

-- Coupons that a store took part in during the window, as announced.
coupons as (

    select distinct
        series.store_id,
        spans.starts_on,
        spans.ends_on,
        spans.valid_from,
        spans.valid_until

    from {{ ref('int_demand__promo_spans') }} as spans
    inner join {{ ref('int_demand__series') }} as series using (series_id)
    where spans.mechanic = 'coupon'

),

couponed as (

    select distinct
        as_of_dates.as_of,
        coupons.store_id

    from coupons
    cross join {{ ref('int_clustering__parameters') }} as parameters
    inner join {{ ref('stg_run__as_of_dates') }} as as_of_dates
        on coupons.starts_on < as_of_dates.as_of
        and coupons.ends_on >= as_of_dates.as_of - parameters.history_days
        and coupons.valid_from <= as_of_dates.as_of
        and coupons.valid_until > as_of_dates.as_of

)

select
    takings.as_of,
    takings.store_id,
    round(takings.revenue_millicents / 1e5 / nullif(takings.revenue_days, 0), 2) as revenue_per_day,
    round(takings.customers / cast(nullif(takings.customer_days, 0) as double), 3) as customers_per_day,
    round(takings.served_millicents / 1e5 / nullif(takings.served_customers, 0), 4) as basket_eur,
    round(uplifts.promo_days / cast(nullif(uplifts.product_days, 0) as double), 6) as promo_day_share,
    round(
        coalesce(takings.promo_quantity_milli, 0) / cast(nullif(takings.quantity_milli, 0) as double), 6
    ) as promo_volume_share,
    round(
        case when uplifts.promo_days >= parameters.least_days then uplifts.promo_milli / cast(nullif(uplifts.expected_milli, 0) as double) end,
        6
    ) as promo_uplift,
    couponed.store_id is not null as takes_coupons

from takings
cross join {{ ref('int_clustering__parameters') }} as parameters
left join uplifts using (as_of, store_id)
left join couponed using (as_of, store_id)
