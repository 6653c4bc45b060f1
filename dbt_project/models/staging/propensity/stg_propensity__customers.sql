select
    customer_key,
    cast(birth_year as integer) as birth_year,
    cast(joined_on as date) as joined_on,
    coalesce(nullif(trim(region), ''), 'unknown') as region,
    coalesce(employment, 'unknown') as employment,
    cast(round(income_eur) as bigint) as income_eur,
    household_size,
    consents_to_marketing,
    cast(known_at as timestamp) as known_at

from {{ source('propensity', 'customers') }}
