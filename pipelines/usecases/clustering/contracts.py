"""Contracts of the clustering mart, and the raw tables it is made from."""

from __future__ import annotations

from features.contracts import Contract
from pipelines.io.marts import mart_contract
from pipelines.settings import Settings
from pipelines.sources.landed import landed_table
from pipelines.usecases.demand.layouts import CALENDAR_EVENTS, CUSTOMERS, PRODUCTS, PROMOTIONS, SALES, STORES

USECASE = "clustering"

#: Use case whose raw tables the features are made from.
SOURCE = "demand"

#: Raw tables that the feature models read.
RAW_TABLES = tuple(
    landed_table(SOURCE, layout)
    for layout in (STORES, PRODUCTS, SALES, PROMOTIONS, CALENDAR_EVENTS, CUSTOMERS)
)

#: Tables that a chain may lack: what they tell is then missing, or not special.
OPTIONAL_TABLES = tuple(
    landed_table(SOURCE, layout).name for layout in (PROMOTIONS, CALENDAR_EVENTS, CUSTOMERS)
)


def features_contract(settings: Settings) -> Contract:
    """Contract of ``ml_clustering_features``, the lake table ``features/clustering``."""
    return mart_contract(settings.dbt_project, "ml", "ml_clustering_features")
