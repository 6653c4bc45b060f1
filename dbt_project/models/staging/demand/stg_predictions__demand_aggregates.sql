select
    as_of,
    level,
    node,
    ds,
    horizon,
    operational,
    strategic,
    lower_80,
    upper_80,
    lower_95,
    upper_95,
    model_version

from {{ source('predictions', 'demand_aggregates') }}
