with

source as (

    select * from {{ source('churn', 'usage_events') }}

),

renamed as (

    select

        ---------- ids
        account_key,

        ---------- use
        cast(logins as bigint) as logins,
        -- Hundredths of a minute as integers: a sum of doubles depends on the order in which threads add.
        cast(round(duration_min * 100) as bigint) as duration_centiminutes,
        features_used,

        ---------- dates
        used_on,

        ---------- knowledge
        known_at

    from source

)

select * from renamed
