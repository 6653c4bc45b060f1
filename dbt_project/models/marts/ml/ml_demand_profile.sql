with

series as (

    select series.*
    from {{ ref('int_demand__series_as_of') }} as series
    inner join {{ ref('stg_run__as_of_dates') }} as as_of_dates using (as_of)
    where
        as_of_dates.as_of = as_of_dates.known_before
        and series.scope_reason is null

),

statistics as (

    select * from {{ ref('int_demand__series_statistics') }}

),

seasonality as (

    select * from {{ ref('int_demand__seasonality') }}

),

stores as (

    select * from {{ ref('int_demand__stores_as_of') }}

),

products as (

    select * from {{ ref('int_demand__products_as_of') }}

),

-- Stores that open on no day of the horizon, as far as is known.
closed_stores as (

    select as_of, store_id
    from {{ ref('int_demand__store_days') }}
    where ds >= as_of
    group by 1, 2
    having not bool_or(is_open)

),

facts as (

    select
        series.as_of,
        series.store_id,
        series.sku_id,
        date_diff('day', series.first_sold_on, series.as_of) as days_since_first_sale,
        date_diff('day', series.last_sold_on, series.as_of) as days_since_last_sale,
        greatest(date_diff('day', products.launched_on, series.as_of), 0) as days_since_launch,
        products.delisted_on,
        coalesce(stores.region, 'unknown') as region,
        coalesce(clientele.clientele, stores.clientele) as clientele,
        stores.store_type,
        stores.assortment,
        clusters.cluster as store_cluster,
        coalesce(products.category, 'unknown') as category,
        products.subcategory,
        products.brand,
        products.price_band,
        statistics.* exclude (series_id, first_day, last_day, day_sum),
        seasonality.weekly_strength,
        seasonality.yearly_strength,
        closed_stores.store_id is not null as is_closed

    from series
    inner join statistics using (series_id)
    left join seasonality using (series_id)
    left join stores using (as_of, store_id)
    left join products using (as_of, sku_id)
    left join {{ ref('int_demand__clientele') }} as clientele using (as_of, store_id)
    left join {{ ref('int_demand__store_clusters_as_of') }} as clusters using (as_of, store_id)
    left join closed_stores using (as_of, store_id)

),

-- A product that sells in promotion only has no regular sales to compare with: its uplift counts as large.
judged as (

    select
        facts.*,
        parameters.* exclude (history_days),
        greatest(coalesce(facts.promo_volume_share, 0), coalesce(facts.promo_day_share, 0)) >= parameters.promo_share_min
        and coalesce(facts.promo_uplift, parameters.promo_uplift_min) >= parameters.promo_uplift_min as is_promo,
        coalesce(facts.yearly_strength >= parameters.yearly_strength_min, false) as is_yearly,
        coalesce(facts.weekly_strength >= parameters.weekly_strength_min, false) as is_weekly,
        coalesce(facts.adi >= parameters.intermittent_adi, true) as is_intermittent,
        coalesce(facts.cv2 >= parameters.erratic_cv2, false) as is_erratic

    from facts
    cross join {{ ref('int_demand__parameters') }} as parameters

)

select

    ---------- keys
    as_of,
    store_id,
    sku_id,

    ---------- attributes
    region,
    clientele,
    store_type,
    assortment,
    store_cluster,
    category,
    subcategory,
    brand,
    price_band,
    delisted_on,

    ---------- history
    history_days,
    sold_days,
    days_since_first_sale,
    days_since_last_sale,
    days_since_launch,
    coalesce(mean_quantity, 0.0) as mean_quantity,
    adi,
    cv2,
    zero_share,
    stockout_share,

    ---------- season and promotion
    weekly_strength,
    yearly_strength,
    promo_day_share,
    promo_volume_share,
    promo_uplift,

    ---------- what follows from it
    case
        when is_intermittent and is_erratic then 'lumpy'
        when is_intermittent then 'intermittent'
        when is_erratic then 'erratic'
        else 'smooth'
    end as pattern,
    case
        when days_since_first_sale < new_days then 'new'
        when is_promo then 'promo'
        when is_yearly or is_weekly then 'seasonal'
        else 'stable'
    end as segment,
    case
        when days_since_first_sale < new_days
            then printf('first sold %d days ago, fewer than %d', days_since_first_sale, new_days)
        when is_promo and promo_uplift is null
            then printf('sells in promotion only: %.0f %% of the units', 100 * promo_volume_share)
        when is_promo
            then printf(
                '%.0f %% of the units on %.0f %% of the days in promotion, %.1f times the sales of other days',
                100 * promo_volume_share, 100 * promo_day_share, promo_uplift
            )
        when is_yearly or is_weekly
            then concat_ws(
                ' and ',
                case when is_yearly then printf('the time of the year explains %.0f %%', 100 * yearly_strength) end,
                case when is_weekly then printf('the day of the week explains %.0f %%', 100 * weekly_strength) end
            ) || ' of the variation'
        else 'no strong season, and few sales in promotion'
    end as segment_reason,
    case
        when is_closed then 'fallback_closed'
        when sold = 0 then 'fallback_zero'
        when complete_days < short_days then 'fallback_short'
        when sold_days = 1 then 'fallback_spike'
        when least_sold = most_sold then 'fallback_constant'
    end as fallback

from judged
