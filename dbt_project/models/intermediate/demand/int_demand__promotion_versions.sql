{{ valid_versions(ref('stg_demand__promotions'), 'promo_id', 'announced_at') }}
