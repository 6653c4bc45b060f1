-- Days that a store has reported. A day counts as known when its last row was: until then some of its
-- products would look unsold.
select
    series.store_id,
    sales.sold_on as ds,
    max(sales.usable_from) as reported_on

from {{ ref('int_demand__sales') }} as sales
inner join {{ ref('int_demand__series') }} as series using (series_id)
group by 1, 2
