with

source as (

    select * from {{ source('churn', 'subscriptions') }}

),

renamed as (

    select

        ---------- ids
        term_id,
        account_key,
        subscription_id,

        ---------- plan
        plan_tier,
        case plan_tier when 'starter' then 1 when 'growth' then 2 when 'business' then 3 end as tier_rank,
        billing_period,
        is_trial,

        ---------- amounts: whole cents, so that sums do not depend on the order of addition
        cast(seats as bigint) as seats,
        cast(round(mrr_eur * 100) as bigint) as mrr_cents,

        ---------- dates
        term_start,
        term_end,

        ---------- knowledge
        known_at

    from source

)

select * from renamed
