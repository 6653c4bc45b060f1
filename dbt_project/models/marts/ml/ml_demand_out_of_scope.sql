with

series as (

    select series.*
    from {{ ref('int_demand__series_as_of') }} as series
    inner join {{ ref('stg_run__as_of_dates') }} as as_of_dates using (as_of)
    where
        as_of_dates.as_of = as_of_dates.known_before
        and series.scope_reason is not null

)

select
    as_of,
    store_id,
    sku_id,
    scope_reason,
    last_sold_on,
    date_diff('day', last_sold_on, as_of) as days_since_last_sale

from series
