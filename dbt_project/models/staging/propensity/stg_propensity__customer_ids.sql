-- The only model in which a pseudonym meets the natural id again: outbound rows must name their customer.
select distinct
    customer_key,
    customer_id

from {{ source('propensity', 'customers') }}
