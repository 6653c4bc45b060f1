-- Terms known before each as_of, each beside the paid term before it. Terms that begin later are kept:
-- a renewal that is already booked is knowledge.
with

as_of_dates as (

    select * from {{ ref('stg_run__as_of_dates') }}

),

terms as (

    select
        account_key,
        term_id,
        plan_tier,
        tier_rank,
        billing_period,
        is_trial,
        seats,
        mrr_cents,
        term_start,
        term_end,
        known_at,
        lag(tier_rank) over preceding as previous_tier_rank,
        max(term_end) over preceding as previous_term_end,
        coalesce(max(known_at) over preceding > known_at, false) as is_out_of_order

    from {{ ref('stg_churn__subscriptions') }}
    window preceding as (
        partition by account_key, is_trial
        order by term_start, term_end, term_id
        rows between unbounded preceding and 1 preceding
    )

),

-- Where terms became known in the order in which they begin, the terms known before a day are the first ones,
-- so the term before a term is the same on every day. Nearly all accounts are of this kind.
out_of_order_accounts as (

    select distinct account_key
    from terms
    where is_out_of_order

),

in_order as (

    select as_of_dates.as_of, terms.* exclude (known_at, is_out_of_order)
    from terms
    inner join as_of_dates on terms.known_at < as_of_dates.as_of
    where terms.account_key not in (select account_key from out_of_order_accounts)

),

-- Elsewhere the order is found anew for each day: a term that was recorded late must not be anybody's
-- predecessor before it was known.
out_of_order as (

    select
        as_of_dates.as_of,
        terms.* exclude (known_at, is_out_of_order)
        replace (
            lag(terms.tier_rank) over preceding as previous_tier_rank,
            max(terms.term_end) over preceding as previous_term_end
        )

    from terms
    inner join as_of_dates on terms.known_at < as_of_dates.as_of
    where terms.account_key in (select account_key from out_of_order_accounts)
    window preceding as (
        partition by as_of_dates.as_of, terms.account_key, terms.is_trial
        order by terms.term_start, terms.term_end, terms.term_id
        rows between unbounded preceding and 1 preceding
    )

)

select * from in_order
union all
select * from out_of_order
