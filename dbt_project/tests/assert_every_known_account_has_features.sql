{# Prevents silent losses and multiplications in the joins of the feature mart: an account that is missing
   is never scored, one that appears twice is contacted twice. #}
with

expected as (

    select distinct
        as_of_dates.as_of,
        accounts.account_key

    from {{ ref('stg_churn__accounts') }} as accounts
    inner join {{ ref('stg_run__as_of_dates') }} as as_of_dates on accounts.known_at < as_of_dates.as_of
    where as_of_dates.wants_features

),

found as (

    select as_of, account_key, count(*) as rows_found
    from {{ ref('ml_churn_features') }}
    group by 1, 2

)

select *
from expected
full outer join found using (as_of, account_key)
where coalesce(found.rows_found, 0) <> 1 or expected.account_key is null
