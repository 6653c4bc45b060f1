-- Group of each store in the newest clustering of an earlier day. That of the same day may not be there yet when
-- forecasts are made: what a forecast reads must not depend on which of the two ran first.
with

newest as (

    select
        as_of_dates.as_of,
        max(clusters.as_of) as grouped_on

    from {{ ref('stg_run__as_of_dates') }} as as_of_dates
    inner join (select distinct as_of from {{ ref('stg_predictions__store_clusters') }}) as clusters
        on clusters.as_of < as_of_dates.as_of
    group by 1

)

select
    newest.as_of,
    clusters.store_id,
    clusters.cluster

from newest
inner join {{ ref('stg_predictions__store_clusters') }} as clusters on newest.grouped_on = clusters.as_of
