select
    as_of,
    customer_key,
    {%- for place in range(1, 4) %}
    product_{{ place }},
    chance_{{ place }},
    reason_{{ place }},
    {%- endfor %}
    model_version

from {{ source('predictions', 'propensity_offers') }}
