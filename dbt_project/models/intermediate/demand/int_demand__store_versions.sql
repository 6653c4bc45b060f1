{{ valid_versions(ref('stg_demand__stores'), 'store_id') }}
