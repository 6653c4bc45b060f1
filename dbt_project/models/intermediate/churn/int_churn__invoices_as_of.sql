with

days as (

    select * from {{ ref('int_churn__lookback_days') }}

),

invoices_in_reach as (

    select distinct invoice_id
    from {{ ref('stg_churn__invoices') }}
    where issued_on in (select day from days)

),

-- See int_churn__tickets_as_of for why looking ahead to `known_until` is point in time.
versions as (

    select
        *,
        lead(known_at) over (partition by invoice_id order by known_at) as known_until

    from {{ ref('stg_churn__invoices') }}
    where invoice_id in (select invoice_id from invoices_in_reach)

),

invoices as (

    select
        days.as_of,
        versions.account_key,
        versions.invoice_id,
        versions.status,
        versions.amount_cents,
        versions.paid_on,
        date_diff('day', versions.due_on, days.as_of) as due_age_days,
        case
            when versions.paid_on < days.as_of then date_diff('day', versions.paid_on, days.as_of)
        end as paid_age_days,
        greatest(date_diff('day', versions.due_on, versions.paid_on), 0) as delay_days,
        date_diff('day', cast(versions.known_at as date), days.as_of) as known_age_days,
        versions.known_until is null or versions.known_until >= days.as_of as is_valid

    from versions
    inner join days
        on versions.issued_on = days.day
        and versions.known_at < days.as_of

),

judged as (

    select
        *,
        is_valid
        and status in ('issued', 'failed', 'disputed', 'paid')
        and due_age_days > 0
        and (status <> 'paid' or (paid_on is not null and paid_age_days is null)) as is_overdue,
        is_valid and status = 'paid' and paid_age_days is not null as is_paid

    from invoices

)

select
    as_of,
    account_key,
    count(*) filter (
        where due_age_days between 1 and 180 and (is_overdue or (is_paid and delay_days > 0))
    ) as late_payments_180d,
    count(*) filter (where status = 'failed' and known_age_days <= 90) as failed_payments_90d,
    count(distinct invoice_id) filter (where status = 'disputed' and known_age_days <= 180) as disputes_180d,
    coalesce(sum(amount_cents) filter (where is_overdue), 0) / 100.0 as unpaid_eur,
    sum(delay_days) filter (where is_paid and paid_age_days <= 180)
        / cast(nullif(count(*) filter (where is_paid and paid_age_days <= 180), 0) as double)
        as days_payment_delay_mean_180d

from judged
group by 1, 2
