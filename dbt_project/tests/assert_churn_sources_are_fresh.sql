{#-
    Prevents scoring on a feed that stopped: everybody's "days since last login" would grow at once and the
    list of customer success would be noise.
-#}
{{ stale_sources('churn', {
    'subscriptions': 'known_at',
    'usage_events': 'known_at',
    'invoices': 'known_at',
    'support_tickets': 'known_at',
}) }}
