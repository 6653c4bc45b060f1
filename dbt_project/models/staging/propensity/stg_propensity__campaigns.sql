select
    contact_id,
    customer_key,
    product,
    response,
    cast(contacted_on as date) as contacted_on,
    cast(known_at as timestamp) as known_at

from {{ source('propensity', 'campaigns') }}
