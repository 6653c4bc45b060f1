select
    customer_key,
    product,
    -- Whole cents: a sum of doubles depends on the order in which threads add.
    cast(round(balance_eur * 100) as bigint) as balance_cents,
    cast(month_end as date) as month_end,
    cast(opened_on as date) as opened_on,
    cast(known_at as timestamp) as known_at

from {{ source('propensity', 'holdings') }}
