with

stores as (

    select * from {{ ref('int_demand__stores_as_of') }}

),

facts as (

    select
        stores.*,
        openings.* exclude (as_of, store_id),
        trade.* exclude (as_of, store_id),
        assortment.* exclude (as_of, store_id),
        coalesce(openings.sold_days, 0) as days_with_sales

    from stores
    left join {{ ref('int_clustering__openings') }} as openings using (as_of, store_id)
    left join {{ ref('int_clustering__trade') }} as trade using (as_of, store_id)
    left join {{ ref('int_clustering__assortment') }} as assortment using (as_of, store_id)

),

scoped as (

    select
        facts.*,
        case
            when facts.closed_on < facts.as_of then 'store_closed'
            when facts.days_with_sales < parameters.least_open_days then 'too_few_days'
        end as scope_reason

    from facts
    cross join {{ ref('int_clustering__parameters') }} as parameters

)

select

    ---------- keys
    as_of,
    store_id,

    ---------- scope
    scope_reason is null as in_scope,
    scope_reason,
    days_with_sales,
    region,

    ---------- opening
    open_day_share,
    open_monday_share,
    open_tuesday_share,
    open_wednesday_share,
    open_thursday_share,
    open_friday_share,
    open_saturday_share,
    open_sunday_share,
    opens_sunday,

    ---------- calendar
    public_holiday_open_share,
    holiday_eve_ratio,
    school_holiday_ratio,

    ---------- season
    weekend_share,
    summer_ratio,
    december_ratio,

    ---------- promotion
    promo_day_share,
    promo_volume_share,
    promo_uplift,
    coalesce(takes_coupons, false) as takes_coupons,

    ---------- trade
    revenue_per_day,
    customers_per_day,
    basket_eur,
    price_index,

    ---------- assortment
    products_per_day,
    range_share,
    category_concentration,
    high_price_share,
    leading_category,

    ---------- profile
    store_type,
    assortment,
    clientele,
    surface_m2,
    competition_distance_m,
    round(date_diff('day', competition_opened_on, as_of) / 365.25, 3) as competition_years,
    round(date_diff('day', opened_on, as_of) / 365.25, 3) as age_years

from scoped
