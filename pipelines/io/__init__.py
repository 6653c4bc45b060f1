"""Contact with storage and services that several steps share: lake, dbt, registry, quality."""
