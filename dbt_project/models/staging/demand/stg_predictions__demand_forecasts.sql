select
    as_of,
    store_id,
    sku_id,
    ds,
    horizon,
    operational,
    strategic,
    lower_80,
    upper_80,
    lower_95,
    upper_95,
    segment,
    model,
    reason,
    model_version

from {{ source('predictions', 'demand_forecasts') }}
