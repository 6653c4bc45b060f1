-- Numbers of the customers inside the run, in the order of their pseudonyms: a keyed hash, so any first n of
-- them are a random sample that is the same in every run. Customers first known later are not numbered.
select
    customer_key,
    cast(row_number() over (order by customer_key) as integer) as customer_number

from {{ ref('stg_repurchase__orders') }}
where known_at < (select max(known_before) from {{ ref('stg_run__as_of_dates') }})
group by customer_key
