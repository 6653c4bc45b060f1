select
    cast(as_of as date) as as_of,
    store_id,
    cluster

from {{ source('predictions', 'store_clusters') }}
