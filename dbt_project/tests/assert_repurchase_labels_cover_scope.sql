{# Prevents training on those who came back only: every customer in scope on a day that is over has one label,
   censored ones included, and nobody else has. #}
with

over as (

    select as_of_dates.as_of
    from {{ ref('stg_run__as_of_dates') }} as as_of_dates
    cross join {{ ref('int_repurchase__parameters') }} as parameters
    where as_of_dates.wants_features and as_of_dates.as_of < as_of_dates.known_before - parameters.settle_days

),

features as (

    select customers.as_of, customers.customer_key
    from {{ ref('ml_repurchase_customers') }} as customers
    inner join over using (as_of)
    where customers.in_scope

),

labels as (

    select labels.as_of, labels.customer_key
    from {{ ref('ml_repurchase_labels') }} as labels
    inner join over using (as_of)

)

(select as_of, customer_key, 'no label' as problem from features
except
select as_of, customer_key, 'no label' from labels)
union all
(select as_of, customer_key, 'not in scope' from labels
except
select as_of, customer_key, 'not in scope' from features)
