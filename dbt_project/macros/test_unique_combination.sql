{#- A key of several columns must not repeat. Returns the keys that do. -#}
{% test unique_combination(model, columns) %}
select {{ columns | join(', ') }}, count(*) as repeats
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}
