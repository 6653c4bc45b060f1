with

days as (

    select * from {{ ref('int_churn__lookback_days') }}

),

tickets_in_reach as (

    select distinct ticket_id
    from {{ ref('stg_churn__support_tickets') }}
    where opened_on in (select day from days)

),

-- A version is the valid one at `as_of` if it was known before and no later one was. What `known_until`
-- looks ahead to is only ever compared with `as_of`: deleting what became known since changes nothing.
versions as (

    select
        *,
        lead(known_at) over (partition by ticket_id order by known_at) as known_until

    from {{ ref('stg_churn__support_tickets') }}
    where ticket_id in (select ticket_id from tickets_in_reach)

),

tickets as (

    select
        days.as_of,
        days.age_days,
        versions.account_key,
        versions.priority,
        versions.status,
        case
            when versions.closed_at < days.as_of then date_diff('day', cast(versions.closed_at as date), days.as_of)
        end as closed_age_days,
        versions.csat

    from versions
    inner join days
        on versions.opened_on = days.day
        and versions.known_at < days.as_of
        and (versions.known_until is null or versions.known_until >= days.as_of)

)

select
    as_of,
    account_key,
    count(*) filter (where age_days <= 30) as tickets_30d,
    count(*) filter (where age_days <= 90) as tickets_90d,
    count(*) filter (where age_days <= 90 and priority = 'urgent') as urgent_tickets_90d,
    count(*) filter (where closed_age_days is null) as open_tickets,
    count(csat) filter (where closed_age_days <= 90) as csat_answers_90d,
    sum(csat) filter (where closed_age_days <= 90)
        / cast(nullif(count(csat) filter (where closed_age_days <= 90), 0) as double) as csat_mean_90d

from tickets
group by 1, 2
