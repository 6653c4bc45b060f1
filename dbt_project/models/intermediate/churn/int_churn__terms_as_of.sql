-- Terms known before each as_of, each beside the paid term before it. Terms that begin later are kept:
-- a renewal that is already booked is knowledge.
with

as_of_dates as (

    select * from {{ ref('stg_run__as_of_dates') }}

),

terms as (

    select * from {{ ref('stg_churn__subscriptions') }}

)

select
    as_of_dates.as_of,
    terms.account_key,
    terms.term_id,
    terms.plan_tier,
    terms.tier_rank,
    terms.billing_period,
    terms.is_trial,
    terms.seats,
    terms.mrr_cents,
    terms.term_start,
    terms.term_end,
    lag(terms.tier_rank) over paid_terms as previous_tier_rank,
    max(terms.term_end) over (
        paid_terms rows between unbounded preceding and 1 preceding
    ) as previous_term_end

from terms
inner join as_of_dates on terms.known_at < as_of_dates.as_of
window paid_terms as (
    partition by as_of_dates.as_of, terms.account_key, terms.is_trial
    order by terms.term_start, terms.term_end, terms.term_id
)
