{{ valid_versions(ref('stg_demand__products'), 'sku_id') }}
