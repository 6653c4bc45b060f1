-- Who of the accounts in scope on `as_of` was lost within 30 days: the running paid term ended in
-- (as_of, as_of + 30] and nobody had booked a further one by the end of day as_of + 30.
with

as_of_dates as (

    -- Day as_of + 30 must be over: a renewal booked on that very day still counts.
    select
        as_of,
        as_of + 30 as label_known_on

    from {{ ref('stg_run__as_of_dates') }}
    where as_of + 30 < known_before

),

scored as (

    select
        contracts.as_of,
        contracts.account_key,
        contracts.term_end

    from {{ ref('int_churn__contracts_as_of') }} as contracts
    inner join {{ ref('int_churn__accounts_as_of') }} as accounts using (as_of, account_key)
    where contracts.in_scope

),

terms as (

    select * from {{ ref('stg_churn__subscriptions') }}
    where not is_trial

),

coverage as (

    -- How far the account is covered, as known when the window closed.
    select
        as_of_dates.as_of,
        as_of_dates.label_known_on,
        terms.account_key,
        max(terms.term_end) as covered_until

    from as_of_dates
    inner join terms on terms.known_at < as_of_dates.label_known_on + 1
    group by 1, 2, 3

)

select
    scored.as_of,
    scored.account_key,
    scored.term_end <= scored.as_of + 30 and coverage.covered_until <= scored.term_end as churned,
    case
        when scored.term_end > scored.as_of + 30 then 'term_runs_on'
        when coverage.covered_until > scored.term_end then 'renewed'
        else 'not_renewed'
    end as outcome,
    coverage.label_known_on

from scored
inner join coverage using (as_of, account_key)
