with

scores as (

    select * from {{ ref('stg_predictions__churn_scores') }}

),

as_of_dates as (

    select * from {{ ref('stg_run__as_of_dates') }}

),

account_ids as (

    select * from {{ ref('stg_churn__account_ids') }}

)

select

    ---------- identity
    account_ids.account_id as "External_Id__c",
    account_ids.account_id as "Account__r.Millrace_Account_Id__c",

    ---------- risk
    round(scores.score, 4) as "Score__c",
    scores.rank as "Rank__c",
    scores.risk_level as "Risk_Level__c",
    {{ fitted_text('scores.reason_1', 255) }} as "Reason_1__c",
    {{ fitted_text('scores.reason_2', 255) }} as "Reason_2__c",
    {{ fitted_text('scores.reason_3', 255) }} as "Reason_3__c",
    {{ fitted_text('scores.action', 1000) }} as "Action__c",

    ---------- what is at stake
    round(scores.mrr_eur, 2) as "MRR_EUR__c",
    scores.days_to_renewal as "Days_To_Renewal__c",
    scores.plan_tier as "Plan_Tier__c",
    scores.size_band as "Size_Band__c",
    {{ fitted_text('scores.sector', 80) }} as "Sector__c",

    ---------- provenance
    scores.as_of as "As_Of__c",
    scores.model_version as "Model_Version__c"

from scores
inner join as_of_dates using (as_of)
left join account_ids using (account_key)
