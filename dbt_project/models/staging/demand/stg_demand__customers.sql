select
    store_id,
    cast(counted_on as date) as counted_on,
    customers,
    cast(known_at as timestamp) as known_at

from {{ source('demand', 'customers') }}
