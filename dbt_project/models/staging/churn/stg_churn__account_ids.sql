-- The only model in which a pseudonym meets the natural id again: outbound rows must name their account.
select distinct
    account_key,
    account_id

from {{ source('churn', 'accounts') }}
