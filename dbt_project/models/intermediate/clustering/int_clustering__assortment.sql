-- What each store sells: how much of the range, at which prices, and in which categories more than the chain.
with

sales as (

    select
        sales.as_of,
        sales.store_id,
        sales.sku_id,
        products.category,
        products.price_band,
        sum(sales.quantity_milli) as quantity_milli,
        sum(sales.quantity_milli) filter (where sales.revenue_millicents is not null) as priced_milli,
        sum(sales.revenue_millicents) as revenue_millicents

    from {{ ref('int_clustering__sales') }} as sales
    left join {{ ref('int_demand__products_as_of') }} as products using (as_of, sku_id)
    group by 1, 2, 3, 4, 5

),

chain as (

    select
        as_of,
        sku_id,
        sum(revenue_millicents) / cast(nullif(sum(priced_milli), 0) as double) as price

    from sales
    group by 1, 2

),

ranges as (

    select as_of, count(*) as products, count(distinct coalesce(category, 'unknown')) as categories
    from (select distinct as_of, sku_id, category from sales)
    group by 1

),

stores as (

    select
        sales.as_of,
        sales.store_id,
        count(*) as products,
        sum(sales.revenue_millicents)
        / nullif(sum(cast(round(sales.priced_milli * chain.price) as hugeint)), 0) as price_index,
        sum(sales.quantity_milli) filter (where sales.price_band = 'high')
        / cast(nullif(sum(sales.quantity_milli) filter (where sales.price_band is not null), 0) as double) as high_price_share

    from sales
    inner join chain using (as_of, sku_id)
    group by 1, 2

),

mixes as (

    select
        as_of,
        store_id,
        coalesce(category, 'unknown') as category,
        sum(quantity_milli) as quantity_milli

    from sales
    group by 1, 2, 3

),

shares as (

    select
        *,
        quantity_milli / cast(sum(quantity_milli) over (partition by as_of, store_id) as double) as share,
        sum(quantity_milli) over (partition by as_of, category)
        / cast(sum(quantity_milli) over (partition by as_of) as double) as chain_share

    from mixes

),

foremost as (

    select
        as_of,
        store_id,
        -- Rounded, and by name where equal, so that the last digit of a sum decides nothing.
        arg_max(category, {gain: round(share - chain_share, 9), name: category}) as leading_category,
        sum(cast(round(1e9 * share * share) as bigint)) / 1e9 as category_concentration

    from shares
    group by 1, 2

),

daily as (

    select
        as_of,
        store_id,
        sum(products) / cast(count(products) as double) as products_per_day

    from {{ ref('int_clustering__store_days') }}
    group by 1, 2

)

select
    stores.as_of,
    stores.store_id,
    round(daily.products_per_day, 4) as products_per_day,
    round(stores.products / cast(ranges.products as double), 6) as range_share,
    round(stores.price_index, 6) as price_index,
    round(stores.high_price_share, 6) as high_price_share,
    case when ranges.categories > 1 then round(foremost.category_concentration, 6) end as category_concentration,
    case when ranges.categories > 1 then foremost.leading_category end as leading_category

from stores
inner join ranges using (as_of)
inner join foremost using (as_of, store_id)
left join daily using (as_of, store_id)
