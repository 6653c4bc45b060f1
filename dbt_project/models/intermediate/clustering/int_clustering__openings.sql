-- When each store opens, how it sells on special days and through the year.
select
    as_of,
    store_id,
    count(quantity_milli) as sold_days,
    {{ open_share('true') }} as open_day_share,
    {%- for name in ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'] %}
    {{ open_share('weekday = ' ~ loop.index) }} as open_{{ name }}_share,
    {%- endfor %}
    {{ open_share('is_public_holiday') }} as public_holiday_open_share,
    -- A store has few eves: a third of the days that other ratios need.
    case
        when 3 * count(level_ppm) filter (where is_holiday_eve) >= any_value(parameters.least_days)
            then round(
                sum(level_ppm) filter (where is_holiday_eve) / cast(count(level_ppm) filter (where is_holiday_eve) as double)
                / 1e6,
                6
            )
    end as holiday_eve_ratio,
    {{ level_ratio('is_school_holiday') }} as school_holiday_ratio,
    {{ level_ratio('month(ds) in (6, 7, 8)') }} as summer_ratio,
    {{ level_ratio('month(ds) = 12') }} as december_ratio,
    round(
        sum(quantity_milli) filter (where weekday >= 6) / cast(nullif(sum(quantity_milli), 0) as double), 6
    ) as weekend_share

from {{ ref('int_clustering__store_days') }}
cross join {{ ref('int_clustering__parameters') }} as parameters
group by 1, 2
