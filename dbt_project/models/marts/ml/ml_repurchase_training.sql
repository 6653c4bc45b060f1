{{ config(materialized='view') }}
-- Past days, each as it would have been scored, with what the customer's next order turned out to hold.
with

bought as (

    select
        nexts.as_of,
        nexts.customer_number,
        lines.product_number

    from {{ ref('int_repurchase__next_orders') }} as nexts
    inner join {{ ref('int_repurchase__lines') }} as lines using (order_number)

)

select
    candidates.as_of,
    customers.customer_key,
    products.product_id,
    {{ repurchase_candidate_columns() }},

    ---------- the next order
    bought.product_number is not null as bought_next,
    nexts.days_to_next,
    nexts.lines as next_lines,
    nexts.repeat_lines as next_repeat_lines

from {{ ref('int_repurchase__candidates_as_of') }} as candidates
-- Not censored, and of which the lines are known: what a customer will buy who has not come back is not known.
inner join {{ ref('int_repurchase__next_orders') }} as nexts
    on candidates.as_of = nexts.as_of
    and candidates.customer_number = nexts.customer_number
    and nexts.lines is not null
inner join {{ ref('int_repurchase__customers') }} as customers
    on candidates.customer_number = customers.customer_number
inner join {{ ref('int_repurchase__products_as_of') }} as products
    on candidates.as_of = products.as_of
    and candidates.product_number = products.product_number
inner join {{ ref('int_repurchase__scope_as_of') }} as scope
    on candidates.as_of = scope.as_of
    and candidates.customer_number = scope.customer_number
inner join {{ ref('int_repurchase__customers_as_of') }} as history
    on candidates.as_of = history.as_of
    and candidates.customer_number = history.customer_number
left join bought
    on candidates.as_of = bought.as_of
    and candidates.customer_number = bought.customer_number
    and candidates.product_number = bought.product_number
