with

source as (

    select * from {{ source('churn', 'invoices') }}

),

renamed as (

    select

        ---------- ids
        invoice_id,
        account_key,

        ---------- state
        status,
        cast(round(amount_eur * 100) as bigint) as amount_cents,

        ---------- dates
        issued_on,
        due_on,
        paid_on,

        ---------- knowledge
        known_at

    from source

)

select * from renamed
