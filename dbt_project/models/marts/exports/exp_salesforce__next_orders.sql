with

predicted as (

    select * from {{ ref('stg_predictions__repurchase_next_orders') }}
    inner join {{ ref('stg_run__as_of_dates') }} using (as_of)

),

customer_ids as (

    select * from {{ ref('stg_repurchase__customer_ids') }}

),

likeliest as (

    select
        as_of,
        customer_key,
        unnest(top_products) as product_id,
        generate_subscripts(top_products, 1) as place

    from predicted

),

top_products as (

    select
        likeliest.as_of,
        likeliest.customer_key,
        string_agg(
            {{ fitted_text("coalesce(names.product_name, likeliest.product_id)", 150) }}, chr(10) order by likeliest.place
        ) as top_products

    from likeliest
    left join {{ ref('int_repurchase__product_names') }} as names using (as_of, product_id)
    group by 1, 2

)

select

    ---------- identity
    customer_ids.customer_id as "External_Id__c",
    customer_ids.customer_id as "Account__r.Millrace_Account_Id__c",

    ---------- when
    predicted.expected_on as "Expected_On__c",
    predicted.window_from as "Window_From__c",
    predicted.window_to as "Window_To__c",
    round(predicted.return_probability, 2) as "Return_Probability__c",

    ---------- with what
    predicted.products as "Products__c",
    top_products.top_products as "Top_Products__c",

    ---------- what it rests on
    predicted.as_of - cast(predicted.days_since_last as integer) as "Last_Order_On__c",
    predicted.orders as "Orders__c",

    ---------- provenance
    predicted.model_version as "Model_Version__c"

from predicted
left join customer_ids using (customer_key)
left join top_products using (as_of, customer_key)
