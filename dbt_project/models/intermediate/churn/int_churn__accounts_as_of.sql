with

as_of_dates as (

    select * from {{ ref('stg_run__as_of_dates') }}

),

accounts as (

    select * from {{ ref('stg_churn__accounts') }}

),

latest as (

    select
        as_of_dates.as_of,
        accounts.account_key,
        max_by(
            {
                'sector': accounts.sector,
                'country': accounts.country,
                'employees': accounts.employees,
                'founded_on': accounts.founded_on,
                'signed_up_on': accounts.signed_up_on
            },
            accounts.known_at
        ) as profile

    from accounts
    inner join as_of_dates on accounts.known_at < as_of_dates.as_of
    group by 1, 2

)

select
    as_of,
    account_key,
    profile.sector as sector,
    profile.country as country,
    profile.employees as employees,
    case
        when profile.employees is null then 'unknown'
        when profile.employees < 10 then '1-9'
        when profile.employees < 50 then '10-49'
        when profile.employees < 250 then '50-249'
        else '250+'
    end as size_band,
    case
        when profile.founded_on < as_of then date_diff('day', profile.founded_on, as_of) / 365.25
    end as company_age_years,
    date_diff('day', profile.signed_up_on, as_of) as days_since_signup

from latest
