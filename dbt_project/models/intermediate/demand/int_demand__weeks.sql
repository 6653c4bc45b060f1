-- Weeks of each series, counted back from the newest as_of. Days of stock-out (a lower bound of the demand),
-- closed and unreported ones tell nothing of a season and are left out.
--   The week's mean, for the yearly season, has its days in promotion divided by the series' uplift.
--   The days' deviations from the mean of the week, for the weekly season, are those of days without promotion.
-- Either needs five days of the week.
{%- set positions = range(7) %}
with

days as (

    select
        panel.series_id,
        panel.quantity_milli,
        panel.discount is null as is_ordinary,
        case
            when panel.discount is null then panel.quantity_milli
            else cast(round(panel.quantity_milli / coalesce(nullif(statistics.promo_uplift, 0), 1)) as bigint)
        end as level_milli,
        date_diff('day', panel.ds, as_of_dates.as_of) - 1 as age_days

    from {{ ref('int_demand__panel_days') }} as panel
    inner join {{ ref('int_demand__series_statistics') }} as statistics using (series_id)
    cross join {{ ref('stg_run__as_of_dates') }} as as_of_dates
    where
        as_of_dates.as_of = as_of_dates.known_before
        and panel.quantity_milli is not null
        and panel.is_open
        and not panel.is_stockout

),

weeks as (

    select
        series_id,
        cast(age_days // 7 as integer) as week,
        count(*) as days,
        cast(sum(level_milli) as bigint) as level_milli,
        count(*) filter (where is_ordinary) as ordinary_days,
        cast(sum(quantity_milli) filter (where is_ordinary) as bigint) as ordinary_milli,
        {%- for position in positions %}
        max(quantity_milli) filter (where is_ordinary and age_days % 7 = {{ position }}) as quantity_{{ position }}{{ "," if not loop.last }}
        {%- endfor %}

    from days
    group by 1, 2
    having count(*) >= 5

)

select
    series_id,
    week,
    cast(round(level_milli / days) as bigint) as mean_milli,
    case when ordinary_days >= 5 then ordinary_days end as ordinary_days,
    {%- for position in positions %}
    case
        when ordinary_days >= 5 then cast(round(quantity_{{ position }} - ordinary_milli / ordinary_days) as bigint)
    end as deviation_{{ position }}{{ "," if not loop.last }}
    {%- endfor %}

from weeks
