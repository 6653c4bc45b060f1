select
    cast(as_of as date) as as_of,
    cast(known_before as date) as known_before,
    cast(wants_features as boolean) as wants_features

from {{ source('run', 'as_of_dates') }}
