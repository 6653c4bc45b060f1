-- What customers took within the horizon: products whose account was opened in [as_of, as_of + horizon_days), by the
-- ends of months that follow. The month of the horizon's last day must have been delivered.
with

parameters as (

    select
        cast(max(value) filter (where name = 'horizon_days') as integer) as horizon_days,
        cast(max(value) filter (where name = 'settle_days') as integer) as settle_days

    from {{ ref('stg_run__parameters') }}

),

as_of_dates as (

    select
        as_of_dates.as_of,
        as_of_dates.known_before,
        as_of_dates.as_of + parameters.horizon_days as horizon_end,
        last_day(as_of_dates.as_of + parameters.horizon_days - 1) as last_month_end,
        cast(
            date_trunc('month', as_of_dates.as_of - parameters.settle_days + 1) - interval 1 day as date
        ) as held_on

    from {{ ref('stg_run__as_of_dates') }} as as_of_dates
    cross join parameters
    where last_day(as_of_dates.as_of + parameters.horizon_days - 1) + parameters.settle_days <= as_of_dates.known_before

),

-- Everybody who held something on the day, by what was known then.
customers as (

    select distinct as_of_dates.as_of, holdings.customer_key
    from {{ ref('stg_propensity__holdings') }} as holdings
    inner join as_of_dates
        on holdings.month_end = as_of_dates.held_on
        and holdings.known_at < as_of_dates.as_of

),

taken as (

    select as_of_dates.as_of, holdings.customer_key, holdings.product
    from {{ ref('stg_propensity__holdings') }} as holdings
    inner join as_of_dates
        on holdings.opened_on >= as_of_dates.as_of
        and holdings.opened_on < as_of_dates.horizon_end
        and holdings.month_end <= as_of_dates.last_month_end
        and holdings.known_at < as_of_dates.known_before
    group by 1, 2, 3

),

lists as (

    select as_of, customer_key, count(*) as products_taken, string_agg(product, '|' order by product) as taken
    from taken
    group by 1, 2

)

select
    customers.as_of,
    customers.customer_key,
    coalesce(lists.taken, '') as taken,
    coalesce(lists.products_taken, 0) as products_taken,
    as_of_dates.last_month_end as label_known_on

from customers
inner join as_of_dates using (as_of)
left join lists using (as_of, customer_key)
