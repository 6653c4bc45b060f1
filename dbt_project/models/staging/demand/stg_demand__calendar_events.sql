select
    event_id,
    kind,
    region,
    store_id,
    cast(starts_on as date) as starts_on,
    cast(ends_on as date) as ends_on,
    cast(known_at as timestamp) as known_at

from {{ source('demand', 'calendar_events') }}
