select
    as_of,
    customer_key,
    product_id,
    rank,
    probability

from {{ source('predictions', 'repurchase_baskets') }}
