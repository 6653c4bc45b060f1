{{ config(materialized='view') }}
select
    candidates.as_of,
    customers.customer_key,
    products.product_id,
    {{ repurchase_candidate_columns() }}

from {{ ref('int_repurchase__candidates_as_of') }} as candidates
inner join {{ ref('int_repurchase__customers') }} as customers using (customer_number)
inner join {{ ref('int_repurchase__products_as_of') }} as products using (as_of, product_number)
inner join {{ ref('int_repurchase__scope_as_of') }} as scope using (as_of, customer_number)
inner join {{ ref('int_repurchase__customers_as_of') }} as history using (as_of, customer_number)
where candidates.as_of = (select max(known_before) from {{ ref('stg_run__as_of_dates') }})
