{#-
    Text that fits a field of `limit` characters: whole words, with an ellipsis where something was left out.
    A CRM refuses the row otherwise, and a text cut inside a word or a number says something else.
-#}
{% macro fitted_text(column, limit) -%}
    case
        when length({{ column }}) <= {{ limit }} then {{ column }}
        else regexp_replace(left({{ column }}, {{ limit - 1 }}), '\s+\S*$', '') || '…'
    end
{%- endmacro %}
