{# Prevents training on a biased sample: every account in scope on a day whose window is over has one label,
   churned ones included, and nobody else has. #}
with

features as (

    select features.as_of, features.account_key
    from {{ ref('ml_churn_features') }} as features
    inner join {{ ref('stg_run__as_of_dates') }} as as_of_dates using (as_of)
    where features.in_scope and features.as_of + 30 < as_of_dates.known_before

),

labels as (

    select labels.as_of, labels.account_key
    from {{ ref('ml_churn_labels') }} as labels
    inner join {{ ref('stg_run__as_of_dates') }} as as_of_dates using (as_of)
    where as_of_dates.wants_features

)

(select as_of, account_key, 'no label' as problem from features
except
select as_of, account_key, 'no label' from labels)
union all
(select as_of, account_key, 'not in scope' from labels
except
select as_of, account_key, 'not in scope' from features)
