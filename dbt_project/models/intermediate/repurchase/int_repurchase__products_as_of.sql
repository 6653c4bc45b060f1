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
        min(products.first_ordered_on) as first_ordered_on,
        max(products.last_ordered_on) as last_ordered_on,
        sum(products.purchases) as purchases,
        sum(products.repeats) as repeats,
        sum(products.repeat_days) as repeat_days,
        sum(products.bought_next) as bought_next,
        sum(products.had_next) as had_next,
        {%- for name, newest, oldest in [
            ('purchases_7d', 0, 7), ('purchases_28d', 0, 28), ('purchases_91d', 0, 91), ('purchases_prev_28d', 28, 56)
        ] %}
        coalesce(
            sum(products.purchases) filter (
                where products.usable_from > days.as_of - {{ oldest }} and products.usable_from <= days.as_of - {{ newest }}
            ), 0
        ) as {{ name }}{{ "," if not loop.last }}
        {%- endfor %}

    from {{ ref('int_repurchase__product_days') }} as products
    inner join days
        on products.usable_from <= days.as_of
        and products.usable_from > days.as_of - days.history_days
    group by 1, 2
    having sum(products.purchases) > 0

),

shop as (

    select
        days.as_of,
        count(*) filter (where orders.usable_from > days.as_of - 7) as orders_7d,
        count(*) filter (where orders.usable_from > days.as_of - 28) as orders_28d,
        count(*) as orders_91d

    from {{ ref('int_repurchase__orders') }} as orders
    inner join days
        on orders.usable_from <= days.as_of
        and orders.usable_from > days.as_of - 91
    group by 1

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
    counted.purchases - counted.repeats as buyers,
    counted.as_of - counted.last_ordered_on as days_since_sold,
    counted.as_of - counted.first_ordered_on as days_since_first_sold,
    counted.repeats / cast(counted.purchases as double) as reorder_rate,
    -- Two next orders, one of them with the product, stand in for what rarely sold products do not tell.
    (counted.bought_next + 1) / cast(counted.had_next + 2 as double) as next_rate,
    counted.repeat_days / cast(nullif(counted.repeats, 0) as double) as cycle_days,
    counted.purchases_7d / cast(nullif(shop.orders_7d, 0) as double) as share_7d,
    counted.purchases_28d / cast(nullif(shop.orders_28d, 0) as double) as share_28d,
    counted.purchases_91d / cast(nullif(shop.orders_91d, 0) as double) as share_91d,
    {{ smoothed_ratio('counted.purchases_28d', 'counted.purchases_prev_28d', 5) }} as trend_28d,
    sum(counted.repeats) over (partition by counted.as_of, versions.department)
        / cast(sum(counted.purchases) over (partition by counted.as_of, versions.department) as double)
        as department_reorder_rate,
    sum(counted.repeats) over (partition by counted.as_of, versions.aisle)
        / cast(sum(counted.purchases) over (partition by counted.as_of, versions.aisle) as double)
        as aisle_reorder_rate

from counted
inner join {{ ref('int_repurchase__products') }} as numbers using (product_number)
left join shop using (as_of)
left join versions
    on numbers.product_id = versions.product_id
    and counted.as_of >= versions.valid_from
    and counted.as_of < versions.valid_until
