-- Newest version of each store known before each as_of, and stores that had reported sales by then though
-- their profile was not known yet: they are forecast all the same.
with

as_of_dates as (

    select as_of from {{ ref('stg_run__as_of_dates') }}

),

profiled as (

    select
        as_of_dates.as_of,
        stores.store_id,
        coalesce(stores.region, 'unknown') as region,
        stores.clientele,
        stores.store_type,
        stores.assortment,
        stores.surface_m2,
        stores.competition_distance_m,
        stores.competition_opened_on,
        stores.opens_sunday,
        stores.opened_on,
        stores.closed_on

    from {{ ref('int_demand__store_versions') }} as stores
    inner join as_of_dates
        on as_of_dates.as_of >= stores.valid_from
        and as_of_dates.as_of < stores.valid_until

),

first_reports as (

    select
        series.store_id,
        min(sales.usable_from) as usable_from

    from {{ ref('int_demand__sales') }} as sales
    inner join {{ ref('int_demand__series') }} as series using (series_id)
    group by 1

)

select * from profiled
union all by name
select
    as_of_dates.as_of,
    first_reports.store_id,
    'unknown' as region,
    true as opens_sunday

from first_reports
inner join as_of_dates on as_of_dates.as_of >= first_reports.usable_from
left join profiled using (as_of, store_id)
where profiled.store_id is null
