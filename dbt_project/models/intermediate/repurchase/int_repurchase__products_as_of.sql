with

days as (

    select
        as_of_dates.as_of,
        parameters.history_days

    from {{ ref('stg_run__as_of_dates') }} as as_of_dates
    cross join {{ ref('int_repurchase__parameters') }} as parameters
    where as_of_dates.wants_features

),

counted as (

    select
        days.as_of,
        products.product_number,
        sum(products.purchases) as purchases,
        sum(products.repeats) as repeats,
        sum(products.repeat_days) as repeat_days,
        coalesce(sum(products.purchases) filter (where products.usable_from > days.as_of - 28), 0) as purchases_28d,
        coalesce(
            sum(products.purchases) filter (where products.usable_from between days.as_of - 55 and days.as_of - 28), 0
        ) as purchases_prev_28d

    from {{ ref('int_repurchase__product_days') }} as products
    inner join days
        on products.usable_from <= days.as_of
        and products.usable_from > days.as_of - days.history_days
    group by 1, 2

),

versions as (

    {{ valid_versions(ref('stg_repurchase__products'), key='product_id') }}

)

select
    counted.as_of,
    counted.product_number,
    numbers.product_id,
    versions.aisle,
    versions.department,
    versions.price_cents,
    counted.purchases,
    counted.repeats / cast(counted.purchases as double) as reorder_rate,
    counted.repeat_days / cast(nullif(counted.repeats, 0) as double) as cycle_days,
    {{ smoothed_ratio('counted.purchases_28d', 'counted.purchases_prev_28d', 5) }} as trend_28d,
    sum(counted.repeats) over (partition by counted.as_of, versions.department)
        / cast(sum(counted.purchases) over (partition by counted.as_of, versions.department) as double)
        as department_reorder_rate,
    sum(counted.repeats) over (partition by counted.as_of, versions.aisle)
        / cast(sum(counted.purchases) over (partition by counted.as_of, versions.aisle) as double)
        as aisle_reorder_rate

from counted
inner join {{ ref('int_repurchase__products') }} as numbers using (product_number)
left join versions
    on numbers.product_id = versions.product_id
    and counted.as_of >= versions.valid_from
    and counted.as_of < versions.valid_until
