-- Days of the calendar's events, each with the days on whose start it was known.
select
    kind,
    region,
    store_id,
    starts_on + cast(unnest(range(date_diff('day', starts_on, ends_on) + 1)) as integer) as ds,
    valid_from,
    valid_until

from {{ ref('int_demand__event_versions') }}
