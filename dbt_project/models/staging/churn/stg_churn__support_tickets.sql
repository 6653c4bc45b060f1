with

source as (

    select * from {{ source('churn', 'support_tickets') }}

),

renamed as (

    select

        ---------- ids
        ticket_id,
        account_key,

        ---------- state
        kind,
        priority,
        status,
        cast(csat as bigint) as csat,

        ---------- dates
        opened_at,
        cast(opened_at as date) as opened_on,
        closed_at,

        ---------- knowledge
        known_at

    from source

)

select * from renamed
