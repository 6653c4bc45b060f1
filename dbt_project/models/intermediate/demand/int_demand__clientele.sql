-- Who shops in a store, by what its sales say: a store that gains on the chain when the region's schools are
-- closed lives on tourists, one that loses on residents. Ratios are held against the median store, because
-- the holidays of many stores move the chain itself.
with

store_days as (

    select *
    from {{ ref('int_demand__store_days') }}
    where
        ds < as_of
        and is_open

),

sold as (

    select
        store_days.as_of,
        series.store_id,
        sales.sold_on as ds,
        sum(sales.quantity_milli) as units

    from {{ ref('int_demand__sales') }} as sales
    inner join {{ ref('int_demand__series') }} as series using (series_id)
    inner join store_days
        on series.store_id = store_days.store_id
        and sales.sold_on = store_days.ds
        and sales.usable_from <= store_days.as_of
    group by 1, 2, 3

),

compared as (

    select
        sold.as_of,
        sold.store_id,
        store_days.is_school_holiday,
        sold.units,
        sum(sold.units) over (partition by sold.as_of, sold.ds) as chain_units

    from sold
    inner join store_days using (as_of, store_id, ds)

),

shares as (

    select
        as_of,
        store_id,
        count(*) filter (where is_school_holiday) as holiday_days,
        count(*) filter (where not is_school_holiday) as other_days,
        sum(units) filter (where is_school_holiday)
        / nullif(sum(chain_units) filter (where is_school_holiday), 0) as holiday_share,
        sum(units) filter (where not is_school_holiday)
        / nullif(sum(chain_units) filter (where not is_school_holiday), 0) as other_share

    from compared
    group by 1, 2

),

ratios as (

    select
        *,
        holiday_share / nullif(other_share, 0) as ratio

    from shares
    cross join {{ ref('int_demand__parameters') }} as parameters
    where
        holiday_days >= parameters.clientele_days
        and other_days >= parameters.clientele_days

),

-- Rounded, so that the last digit of a sum decides nothing.
against_median as (

    select
        *,
        round(ratio / median(ratio) over (partition by as_of), 6) as holiday_ratio

    from ratios

)

select
    as_of,
    store_id,
    holiday_ratio,
    case
        when holiday_ratio >= tourist_ratio then 'tourist'
        when holiday_ratio <= residential_ratio then 'residential'
        else 'mixed'
    end as clientele

from against_median
