{#-
    Prevents cells that no wide table would show: a measurement whose part or sensor is not known on the same day is
    dropped by whoever puts the cells in their places. The sensor's description must come before its measurements.
-#}
select cells.as_of, cells.part_id, cells.sensor_id

from {{ ref('ml_imputation_cells') }} as cells
left join {{ ref('ml_imputation_parts') }} as parts using (as_of, part_id)
left join {{ ref('ml_imputation_sensors') }} as sensors using (as_of, sensor_id)
where parts.part_id is null or sensors.sensor_id is null
