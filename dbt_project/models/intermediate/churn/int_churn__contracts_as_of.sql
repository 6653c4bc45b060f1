with

terms as (

    select
        *,
        term_start <= as_of and as_of < term_end as is_running

    from {{ ref('int_churn__terms_as_of') }}

),

running as (

    select *
    from terms
    where is_running and not is_trial

),

-- An account with several contracts is kept by the one that runs longest: that is the term whose renewal
-- decides, and whose plan describes the account.
principals as (

    select as_of, account_key, plan_tier, billing_period, term_end
    from running
    qualify row_number() over (
        partition by as_of, account_key
        order by term_end desc, mrr_cents desc, term_start desc, term_id desc
    ) = 1

),

amounts as (

    select as_of, account_key, sum(seats) as seats, sum(mrr_cents) as mrr_cents
    from running
    group by 1, 2

),

accounts as (

    select
        as_of,
        account_key,
        bool_or(is_trial and is_running) as has_running_trial,
        min(term_start) filter (where not is_trial and term_start <= as_of) as first_paid_start,
        max(term_end) filter (where not is_trial and term_start <= as_of) as last_paid_end,
        max(term_end) filter (where not is_trial and term_start > as_of) as booked_end,
        count(*) filter (
            where not is_trial and term_start between as_of - 365 and as_of
            and previous_tier_rank <> tier_rank
        ) as tier_changes_365d,
        count(*) filter (
            where not is_trial and term_start between as_of - 365 and as_of
            and previous_tier_rank > tier_rank
        ) as tier_downgrades_365d,
        count(*) filter (
            where not is_trial and term_start <= as_of and term_start > previous_term_end + 30
        ) as reactivations

    from terms
    group by 1, 2

),

-- State a year before, or at the first paid day of younger customers.
earlier as (

    select
        terms.as_of,
        terms.account_key,
        sum(terms.seats) as seats,
        sum(terms.mrr_cents) as mrr_cents

    from terms
    inner join accounts using (as_of, account_key)
    where
        not terms.is_trial
        and terms.term_end > terms.as_of - 365
        and terms.term_start <= greatest(terms.as_of - 365, accounts.first_paid_start)
        and terms.term_end > greatest(terms.as_of - 365, accounts.first_paid_start)
    group by 1, 2

)

select
    accounts.as_of,
    accounts.account_key,
    principals.term_end is not null as in_scope,
    case
        when principals.term_end is not null then null
        when accounts.has_running_trial then 'trial'
        when accounts.last_paid_end is null then 'not_started'
        when accounts.last_paid_end < accounts.as_of - 30 then 'churned'
        else 'lapsed'
    end as scope_reason,
    principals.plan_tier as plan_tier,
    principals.billing_period as billing_period,
    principals.term_end as term_end,
    date_diff('day', accounts.as_of, principals.term_end) as days_to_renewal,
    case
        when principals.term_end is not null
            then coalesce(accounts.booked_end > principals.term_end, false)
    end as renewal_booked,
    date_diff('day', accounts.first_paid_start, accounts.as_of) as tenure_days,
    cast(amounts.seats as bigint) as seats,
    cast(amounts.seats - coalesce(earlier.seats, 0) as bigint) as seats_change_365d,
    amounts.mrr_cents / 100.0 as mrr_eur,
    (amounts.mrr_cents - coalesce(earlier.mrr_cents, 0)) / 100.0 as mrr_change_365d,
    accounts.tier_changes_365d,
    accounts.tier_downgrades_365d,
    accounts.reactivations

from accounts
left join principals using (as_of, account_key)
left join amounts using (as_of, account_key)
left join earlier using (as_of, account_key)
