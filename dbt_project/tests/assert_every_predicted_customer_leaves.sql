{# Prevents a prediction that never reaches marketing, or names the wrong customer: the outbound rows of the day are the
   predicted customers of the day, one for one. #}
with

predicted as (

    select ids.customer_id
    from {{ ref('stg_predictions__repurchase_next_orders') }} as predictions
    inner join {{ ref('stg_run__as_of_dates') }} as as_of_dates using (as_of)
    left join {{ ref('stg_repurchase__customer_ids') }} as ids using (customer_key)

),

outbound as (

    select "External_Id__c" as customer_id from {{ ref('exp_salesforce__next_orders') }}
    union all
    select item_key as customer_id from {{ ref('exp_dynamodb__repurchase_next_orders') }}

)

(select customer_id, 'predicted but not sent' as problem from predicted
union all select customer_id, 'predicted but not sent' from predicted
except all
select customer_id, 'predicted but not sent' from outbound)
union all
(select customer_id, 'sent but not predicted' from outbound
except all
(select customer_id, 'sent but not predicted' from predicted
union all select customer_id, 'sent but not predicted' from predicted))
