select
    cast(as_of as date) as as_of,
    cast(known_before as date) as known_before

from {{ source('run', 'as_of_dates') }}
