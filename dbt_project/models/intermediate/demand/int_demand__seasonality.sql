-- Strength of the weekly and of the yearly season of each series: 1 - Var(remainder) / Var(season + remainder),
-- at least 0 (Hyndman & Athanasopoulos, Forecasting: principles and practice, 3rd ed., section 4.3, after Wang,
-- Smith & Hyndman 2006), of data without their trend.
--   Week: deviations from each week's own mean; the season is the mean deviation per weekday. Needs eight weeks.
--   Year: weekly means in blocks of 52 weeks, less each block's mean and the slope between the blocks, which
--   whole years leave free of season; the season is the mean per four-weekly period. Needs two blocks of which
--   three quarters of the weeks are known.
-- Both variances are divided by their degrees of freedom. Otherwise noise alone has a season: the mean of two
-- years' weeks "explains" half of it.
{%- set positions = range(7) %}
with

weeks as (

    select * from {{ ref('int_demand__weeks') }}

),

weekly_sums as (

    select
        series_id,
        count(ordinary_days) as weeks,
        sum(ordinary_days) as days,
        {%- for position in positions %}
        {%- set deviation = "deviation_" ~ position %}
        + coalesce(sum(cast({{ deviation }} as hugeint) * {{ deviation }}), 0)
        {%- endfor %} as total_ss,
        {%- for position in positions %}
        {%- set deviation = "deviation_" ~ position %}
        + coalesce(sum({{ deviation }}) * cast(sum({{ deviation }}) as double) / count({{ deviation }}), 0)
        {%- endfor %} as season_ss,
        {%- for position in positions %}
        + cast(count(deviation_{{ position }}) > 0 as integer)
        {%- endfor %} as seasons

    from weeks
    group by 1

),

weekly as (

    select
        series_id,
        {{ seasonal_strength('total_ss', 'season_ss', 'days - weeks', 'seasons - 1') }} as weekly_strength

    from weekly_sums
    where weeks >= 8

),

blocks as (

    select
        series_id,
        week // 52 as block,
        cast(round(sum(mean_milli) / count(*)) as bigint) as mean_milli

    from weeks
    group by 1, 2
    having count(*) >= 39

),

trends as (

    select
        series_id,
        count(*) as blocks,
        -- Least squares from sums of whole numbers.
        (count(*) * sum(block * mean_milli) - sum(block) * sum(mean_milli))
        / (count(*) * sum(block * block) - sum(block) * sum(block)) / 52 as slope

    from blocks
    group by 1
    having count(*) >= 2

),

yearly_deviations as (

    select
        weeks.series_id,
        trends.blocks,
        weeks.week % 52 // 4 as period,
        cast(
            round(weeks.mean_milli - blocks.mean_milli - trends.slope * (weeks.week % 52 - 25.5)) as bigint
        ) as deviation

    from weeks
    inner join blocks
        on weeks.series_id = blocks.series_id
        and weeks.week // 52 = blocks.block
    inner join trends on weeks.series_id = trends.series_id

),

periods as (

    select
        series_id,
        period,
        any_value(blocks) as blocks,
        count(*) as weeks,
        sum(cast(deviation as hugeint) * deviation) as total_ss,
        sum(deviation) * cast(sum(deviation) as double) / count(*) as season_ss

    from yearly_deviations
    group by 1, 2

),

yearly_sums as (

    select
        series_id,
        any_value(blocks) as blocks,
        sum(weeks) as weeks,
        count(*) as seasons,
        sum(total_ss) as total_ss,
        -- Fixed point: sums of doubles depend on the order in which threads add.
        sum(cast(round(season_ss) as hugeint)) as season_ss

    from periods
    group by 1

),

yearly as (

    select
        series_id,
        {{ seasonal_strength('total_ss', 'season_ss', 'weeks - blocks - 1', 'seasons - 1') }} as yearly_strength

    from yearly_sums

)

select
    series_id,
    weekly.weekly_strength,
    yearly.yearly_strength

from weekly
full outer join yearly using (series_id)
