-- What was known of each series at each as_of: first and last sale, last regular price, last promotion.
--
-- Each fact is put into the first as_of that may use it, and the facts of an as_of are those put into it or
-- an earlier one. That reads the sales once, however many days are asked for.
with

as_of_dates as (

    select as_of from {{ ref('stg_run__as_of_dates') }}

),

parameters as (

    select * from {{ ref('int_demand__parameters') }}

),

sales as (

    select * from {{ ref('int_demand__sales') }}

),

days as (

    select day
    from (select distinct usable_from as day from sales)
    union
    select distinct ds + 1 from {{ ref('int_demand__promo_days') }}

),

first_uses as (

    select
        days.day,
        min(as_of_dates.as_of) as as_of

    from days
    inner join as_of_dates on as_of_dates.as_of >= days.day
    group by 1

),

sold as (

    select
        first_uses.as_of,
        sales.series_id,
        min(sales.sold_on) filter (where sales.quantity_milli > 0 or sales.is_stockout) as first_sold_on,
        max(sales.sold_on) filter (where sales.quantity_milli > 0 or sales.is_stockout) as last_sold_on,
        max(sales.sold_on) filter (where sales.regular_price is not null) as priced_on,
        arg_max(sales.regular_price, sales.sold_on) as regular_price

    from sales
    inner join first_uses on sales.usable_from = first_uses.day
    group by 1, 2

),

promoted as (

    select
        first_uses.as_of,
        promo_days.series_id,
        max(promo_days.ds) as last_promo_on

    from {{ ref('int_demand__promo_days') }} as promo_days
    inner join first_uses on promo_days.ds + 1 = first_uses.day
    group by 1, 2

),

known as (

    select
        as_of_dates.as_of,
        series.series_id,
        series.store_id,
        series.sku_id,
        min(sold.first_sold_on) over so_far as first_sold_on,
        max(sold.last_sold_on) over so_far as last_sold_on,
        arg_max(sold.regular_price, sold.priced_on) over so_far as price,
        max(promoted.last_promo_on) over so_far as last_promo_on

    from as_of_dates
    cross join {{ ref('int_demand__series') }} as series
    left join sold using (as_of, series_id)
    left join promoted using (as_of, series_id)
    window so_far as (
        partition by series.series_id
        order by as_of_dates.as_of
        rows between unbounded preceding and current row
    )

)

select
    known.* replace (coalesce(products.list_price, known.price) as price),
    -- Both are last days: of trade, and on sale.
    case
        when stores.closed_on < known.as_of then 'store_closed'
        when products.delisted_on < known.as_of then 'delisted'
        when known.last_sold_on < known.as_of - parameters.active_days then 'not_sold'
    end as scope_reason

from known
cross join parameters
left join {{ ref('int_demand__stores_as_of') }} as stores using (as_of, store_id)
left join {{ ref('int_demand__products_as_of') }} as products using (as_of, sku_id)
where known.first_sold_on is not null
