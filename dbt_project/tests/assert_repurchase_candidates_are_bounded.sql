{# Prevents a product that is offered twice, and a customer whose candidates grow without bound. Counted by customer:
   the marts made from them are too large to be grouped by their whole key with every run. #}
select
    candidates.as_of,
    candidates.customer_number,
    count(*) as candidates,
    count(distinct candidates.product_number) as products

from {{ ref('int_repurchase__candidates_as_of') }} as candidates
group by 1, 2
having
    count(*) <> count(distinct candidates.product_number)
    or count(*) > (select max_candidates from {{ ref('int_repurchase__parameters') }})
