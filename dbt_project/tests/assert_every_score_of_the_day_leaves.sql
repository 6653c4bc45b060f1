{# Prevents a score that never reaches customer success, or reaches the wrong account: the outbound rows of the
   day are the scored accounts of the day, one for one. #}
with

scored as (

    select ids.account_id
    from {{ ref('stg_predictions__churn_scores') }} as scores
    inner join {{ ref('stg_run__as_of_dates') }} as as_of_dates using (as_of)
    left join {{ ref('stg_churn__account_ids') }} as ids using (account_key)

),

outbound as (

    select "External_Id__c" as account_id from {{ ref('exp_salesforce__churn_scores') }}

)

(select account_id, 'scored but not sent' as problem from scored
except all
select account_id, 'scored but not sent' from outbound)
union all
(select account_id, 'sent but not scored' from outbound
except all
select account_id, 'sent but not scored' from scored)
