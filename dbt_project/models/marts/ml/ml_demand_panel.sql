{#- A view: a second copy of tens of millions of rows would take as long as making them. -#}
{{ config(materialized='view') }}

with

panel as (

    select * from {{ ref('int_demand__panel_days') }}

),

series as (

    select * from {{ ref('int_demand__series') }}

),

as_of_dates as (

    select as_of from {{ ref('stg_run__as_of_dates') }}
    where as_of = known_before

)

select

    ---------- keys
    as_of_dates.as_of,
    series.store_id,
    series.sku_id,
    panel.ds,

    ---------- what was sold
    panel.quantity_milli / 1000.0 as quantity,
    panel.is_stockout,

    ---------- under which conditions
    coalesce(panel.discount, 0.0) as promo_discount,
    panel.price,
    panel.reported_on

from panel
inner join series using (series_id)
cross join as_of_dates
