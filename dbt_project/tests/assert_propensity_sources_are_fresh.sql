{#-
    Prevents scoring on a feed that stopped: customers would be offered what they took long ago.
-#}
{{ stale_sources('propensity', {
    'holdings': 'known_at',
}) }}
