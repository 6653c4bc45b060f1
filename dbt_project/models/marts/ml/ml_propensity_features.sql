-- Holdings are those of the last month that ended `settle_days` before the day, so that all of its rows have arrived;
-- they are compared with those three and six months before.
with

parameters as (

    select cast(max(value) filter (where name = 'settle_days') as integer) as settle_days
    from {{ ref('stg_run__parameters') }}

),

as_of_dates as (

    select as_of_dates.as_of, date_trunc('month', as_of_dates.as_of - parameters.settle_days + 1) as first_open_day
    from {{ ref('stg_run__as_of_dates') }} as as_of_dates
    cross join parameters
    where as_of_dates.wants_features

),

months as (

    select
        as_of_dates.as_of,
        ages.age_months,
        cast(as_of_dates.first_open_day - to_months(ages.age_months) - interval 1 day as date) as month_end

    from as_of_dates
    cross join (values (0), (3), (6)) as ages (age_months)

),

-- What changed with each version of a customer; the first one changes nothing.
versions as (

    select
        *,
        household_size > lag(household_size) over customer as has_grown,
        region <> lag(region) over customer as has_moved,
        employment <> lag(employment) over customer as has_new_employment,
        lag(known_at) over customer is not null as is_update

    from {{ ref('stg_propensity__customers') }}
    window customer as (partition by customer_key order by known_at)

),

customers as (

    select
        as_of_dates.as_of,
        customers.customer_key,
        arg_max(customers.birth_year, customers.known_at) as birth_year,
        arg_max(customers.joined_on, customers.known_at) as joined_on,
        arg_max(customers.region, customers.known_at) as region,
        arg_max(customers.employment, customers.known_at) as employment,
        arg_max(customers.income_eur, customers.known_at) as income_eur,
        arg_max(customers.income_eur, customers.known_at)
            filter (where customers.known_at < as_of_dates.as_of - 365) as income_before,
        arg_max(customers.household_size, customers.known_at) as household_size,
        arg_max(customers.household_size, customers.known_at)
            filter (where customers.known_at < as_of_dates.as_of - 365) as household_before,
        arg_max(customers.consents_to_marketing, customers.known_at) as consents_to_marketing,
        max(customers.known_at) filter (where customers.is_update) as updated_at,
        max(customers.known_at) filter (where customers.has_grown) as grown_at,
        max(customers.known_at) filter (where customers.has_moved) as moved_at,
        max(customers.known_at) filter (where customers.has_new_employment) as employed_at

    from versions as customers
    inner join as_of_dates on customers.known_at < as_of_dates.as_of
    group by 1, 2

),

products as (

    select
        months.as_of,
        holdings.customer_key,
        holdings.product,
        bool_or(months.age_months = 0) as is_held,
        max(holdings.opened_on) filter (where months.age_months = 0) as opened_on,
        sum(holdings.balance_cents) filter (where months.age_months = 0) as balance_cents,
        sum(holdings.balance_cents) filter (where months.age_months = 3) as balance_cents_3m,
        sum(holdings.balance_cents) filter (where months.age_months = 6) as balance_cents_6m,
        bool_or(months.age_months = 3) as was_held_3m,
        bool_or(months.age_months = 6) as was_held_6m

    from {{ ref('stg_propensity__holdings') }} as holdings
    inner join months
        on holdings.month_end = months.month_end
        and holdings.known_at < months.as_of
    group by 1, 2, 3

),

holdings as (

    select
        as_of,
        customer_key,
        count(*) filter (where is_held) as products,
        count(*) filter (where was_held_6m) as products_6m,
        max(opened_on) as last_opened_on,
        string_agg(product, '|' order by product) filter (where is_held) as held,
        string_agg(product, '|' order by product)
            filter (where is_held and opened_on >= as_of - 180) as taken_lately,
        string_agg(product, '|' order by product) filter (where not is_held) as dropped_lately,
        coalesce(sum(greatest(balance_cents, 0)), 0) as assets_cents,
        sum(greatest(balance_cents_3m, 0)) filter (where was_held_3m) as assets_cents_3m,
        sum(greatest(balance_cents_6m, 0)) filter (where was_held_6m) as assets_cents_6m,
        sum(greatest(-balance_cents, 0)) as debts_cents,
        max(balance_cents - balance_cents_3m) filter (where balance_cents > 0 and is_held and was_held_3m)
            as largest_rise_cents

    from products
    group by 1, 2

),

-- The newest version of each contact that was known.
contacts as (

    select
        as_of_dates.as_of,
        campaigns.customer_key,
        campaigns.contact_id,
        any_value(campaigns.product) as product,
        as_of_dates.as_of - any_value(campaigns.contacted_on) as age_days,
        arg_max(campaigns.response, campaigns.known_at) as response

    from {{ ref('stg_propensity__campaigns') }} as campaigns
    inner join as_of_dates
        on campaigns.known_at < as_of_dates.as_of
        and campaigns.contacted_on < as_of_dates.as_of
        and campaigns.contacted_on >= as_of_dates.as_of - 365
    group by 1, 2, 3

),

campaigns as (

    select
        as_of,
        customer_key,
        count(*) filter (where age_days <= 90) as contacts_90d,
        count(*) filter (where response = 'interested') as interested_365d,
        count(*) filter (where response = 'declined') as declined_365d,
        {%- for name, condition in {
            'contacted_just': "age_days <= 45",
            'contacted_lately': "age_days <= 90",
            'interested_just': "response = 'interested' and age_days <= 45",
            'interested_lately': "response = 'interested' and age_days <= 180",
            'declined_lately': "response = 'declined'",
        }.items() %}
        string_agg(distinct product, '|' order by product) filter (where {{ condition }}) as {{ name }}
        {{- "," if not loop.last }}
        {%- endfor %}

    from contacts
    group by 1, 2

)

select

    ---------- identity and scope
    customers.as_of,
    customers.customer_key,
    coalesce(holdings.products, 0) > 0 and customers.consents_to_marketing as in_scope,
    case
        when not customers.consents_to_marketing then 'no_consent'
        when coalesce(holdings.products, 0) = 0 then 'no_holdings'
    end as scope_reason,

    ---------- who
    cast(date_part('year', customers.as_of) - customers.birth_year as bigint) as age_years,
    case
        when date_part('year', customers.as_of) - customers.birth_year < 30 then 'under 30'
        when date_part('year', customers.as_of) - customers.birth_year < 45 then '30 to 44'
        when date_part('year', customers.as_of) - customers.birth_year < 60 then '45 to 59'
        when customers.birth_year is not null then '60 and over'
        else 'unknown'
    end as age_band,
    customers.region,
    customers.employment,
    customers.income_eur,
    customers.income_eur / nullif(customers.income_before, 0) as income_change_365d,
    customers.household_size,
    customers.household_size - customers.household_before as household_change_365d,
    date_diff('day', customers.joined_on, customers.as_of) as tenure_days,
    date_diff('day', customers.updated_at, customers.as_of) as days_since_update,
    date_diff('day', customers.grown_at, customers.as_of) as days_since_grown,
    date_diff('day', customers.moved_at, customers.as_of) as days_since_moved,
    date_diff('day', customers.employed_at, customers.as_of) as days_since_employed,

    ---------- what is held
    coalesce(holdings.products, 0) as products,
    coalesce(holdings.products - holdings.products_6m, 0) as products_change_6m,
    date_diff('day', holdings.last_opened_on, customers.as_of) as days_since_last_taken,
    coalesce(holdings.held, '') as held,
    coalesce(holdings.taken_lately, '') as taken_lately,
    coalesce(holdings.dropped_lately, '') as dropped_lately,
    coalesce(holdings.assets_cents, 0) / 100.0 as assets_eur,
    coalesce(holdings.debts_cents, 0) / 100.0 as debts_eur,
    greatest(coalesce(holdings.largest_rise_cents, 0), 0) / 100.0 as largest_rise_3m_eur,
    {%- for months in (3, 6) %}
    case
        when holdings.assets_cents_{{ months }}m is not null  -- `least` would pass over a null
            then least((holdings.assets_cents + 50000) / (holdings.assets_cents_{{ months }}m + 50000.0), 20)
    end as assets_change_{{ months }}m,
    {%- endfor %}

    ---------- what was offered
    coalesce(campaigns.contacts_90d, 0) as contacts_90d,
    coalesce(campaigns.interested_365d, 0) as interested_365d,
    coalesce(campaigns.declined_365d, 0) as declined_365d,
    coalesce(campaigns.contacted_just, '') as contacted_just,
    coalesce(campaigns.contacted_lately, '') as contacted_lately,
    coalesce(campaigns.interested_just, '') as interested_just,
    coalesce(campaigns.interested_lately, '') as interested_lately,
    coalesce(campaigns.declined_lately, '') as declined_lately

from customers
left join holdings using (as_of, customer_key)
left join campaigns using (as_of, customer_key)
