{#-
    Prevents scoring on a feed that stopped: everybody would be overdue at once.
-#}
{{ stale_sources('repurchase', {
    'orders': 'known_at',
    'order_lines': 'known_at',
}) }}
