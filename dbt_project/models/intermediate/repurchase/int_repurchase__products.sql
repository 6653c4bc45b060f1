-- Numbers of the products inside the run, in the order of their ids.
select
    product_id,
    cast(row_number() over (order by product_id) as integer) as product_number

from {{ ref('stg_repurchase__products') }}
group by product_id
