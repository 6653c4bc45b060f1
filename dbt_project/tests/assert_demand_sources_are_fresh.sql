{#-
    Prevents forecasting on a feed that stopped: the last days would be missing from every lag and the orders of
    the day would follow last week's promotion.
-#}
{{ stale_sources('demand', {
    'sales': 'known_at',
    'promotions': 'announced_at',
    'weather_observed': 'known_at',
    'weather_forecasts': 'issued_at',
}) }}
