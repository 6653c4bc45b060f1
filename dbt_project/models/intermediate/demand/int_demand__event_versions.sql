{{ valid_versions(ref('stg_demand__calendar_events'), 'event_id') }}
