with

source as (

    select * from {{ source('churn', 'accounts') }}

),

renamed as (

    select

        ---------- ids
        account_key,

        ---------- profile
        coalesce(nullif(trim(sector), ''), 'unknown') as sector,
        coalesce(nullif(trim(country), ''), 'unknown') as country,
        cast(employees as bigint) as employees,

        ---------- dates
        founded_on,
        signed_up_on,

        ---------- knowledge
        known_at

    from source

)

select * from renamed
