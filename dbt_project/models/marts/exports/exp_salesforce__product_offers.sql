with

offers as (

    select * from {{ ref('stg_predictions__propensity_offers') }}
    inner join {{ ref('stg_run__as_of_dates') }} using (as_of)

),

customer_ids as (

    select * from {{ ref('stg_propensity__customer_ids') }}

)

select

    ---------- identity
    customer_ids.customer_id as "External_Id__c",
    customer_ids.customer_id as "Account__r.Millrace_Account_Id__c",

    ---------- offers, best first
    {%- for place in range(1, 4) %}
    offers.product_{{ place }} as "Product_{{ place }}__c",
    round(offers.chance_{{ place }}, 3) as "Chance_{{ place }}__c",
    {{ fitted_text('offers.reason_' ~ place, 255) }} as "Reason_{{ place }}__c",
    {%- endfor %}

    ---------- provenance
    offers.model_version as "Model_Version__c"

from offers
left join customer_ids using (customer_key)
