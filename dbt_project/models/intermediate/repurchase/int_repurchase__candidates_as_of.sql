-- Products that a customer may buy again: those bought before, the likeliest first, at most `max_candidates`.
select pairs.*

from {{ ref('int_repurchase__pairs_as_of') }} as pairs
cross join {{ ref('int_repurchase__parameters') }} as parameters
qualify
    row_number() over (
        partition by pairs.as_of, pairs.customer_number
        order by
            bit_count(pairs.recent_orders & 1023) desc, pairs.times_bought desc, pairs.last_number_back, pairs.product_number
    ) <= parameters.max_candidates
