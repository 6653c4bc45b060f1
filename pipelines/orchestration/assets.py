"""The assets that connect the DAGs: tables of the lake, partitioned by ``as_of``, and registered models."""

from __future__ import annotations

from airflow.sdk import Asset


def lake_asset(table: str) -> Asset:
    """Return the asset of a lake table, for instance ``predictions/shop_scores``."""
    return Asset(name=table.replace("/", "_"), uri=f"millrace://lake/{table}")


def model_asset(usecase: str) -> Asset:
    """Return the asset of the registered model of a use case."""
    return Asset(name=f"model_{usecase}", uri=f"millrace://registry/{usecase}")
