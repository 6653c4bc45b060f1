select
    as_of,
    customer_key,
    return_probability,
    expected_on,
    window_from,
    window_to,
    orders,
    days_since_last,
    products,
    expected_f1,
    nothing_probability,
    cast(top_products as varchar[]) as top_products,
    model_version

from {{ source('predictions', 'repurchase_next_order') }}
