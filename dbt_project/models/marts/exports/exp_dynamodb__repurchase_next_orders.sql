with

predicted as (

    select * from {{ ref('stg_predictions__repurchase_next_orders') }}
    inner join {{ ref('stg_run__as_of_dates') }} using (as_of)

),

baskets as (

    select
        as_of,
        customer_key,
        list(baskets.product_id order by baskets.rank) as products,
        list(coalesce(names.product_name, baskets.product_id) order by baskets.rank) as product_names,
        list(round(baskets.probability, 4) order by baskets.rank) as probabilities

    from {{ ref('stg_predictions__repurchase_baskets') }} as baskets
    inner join {{ ref('stg_run__as_of_dates') }} using (as_of)
    left join {{ ref('int_repurchase__product_names') }} as names using (as_of, product_id)
    group by 1, 2

)

select

    ---------- identity
    customer_ids.customer_id as item_key,

    ---------- when
    predicted.as_of,
    predicted.expected_on,
    predicted.window_from,
    predicted.window_to,
    round(predicted.return_probability, 4) as return_probability,

    ---------- with what, likeliest first
    coalesce(baskets.products, cast([] as varchar[])) as products,
    coalesce(baskets.product_names, cast([] as varchar[])) as product_names,
    coalesce(baskets.probabilities, cast([] as double[])) as probabilities,
    round(predicted.nothing_probability, 4) as nothing_probability,

    ---------- provenance
    predicted.model_version

from predicted
left join {{ ref('stg_repurchase__customer_ids') }} as customer_ids using (customer_key)
left join baskets using (as_of, customer_key)
