"""Contracts of the demand marts, read from the dbt project."""

from __future__ import annotations

from features.contracts import Contract
from pipelines.io.handover import STORE_CLUSTERS
from pipelines.io.marts import mart_contract
from pipelines.settings import Settings
from pipelines.sources.landed import landed_table
from pipelines.usecases.demand.layouts import CUSTOMERS, LAYOUTS, PRODUCTS, SALES, STORES

USECASE = "demand"

#: Raw tables that the feature models read.
RAW_TABLES = tuple(landed_table(USECASE, layout) for layout in LAYOUTS if layout is not CUSTOMERS)

#: Tables that a chain may lack (promotions, weather, events); without the others nothing can be forecast.
OPTIONAL_TABLES = tuple(
    table.name
    for table in RAW_TABLES
    if table.name not in {landed_table(USECASE, layout).name for layout in (STORES, PRODUCTS, SALES)}
)

#: Tables of other use cases that the feature models read where there are any.
HANDED_OVER = (STORE_CLUSTERS,)


def panel_contract(settings: Settings) -> Contract:
    """Contract of ``ml_demand_panel``, the lake table ``features/demand_panel``."""
    return mart_contract(settings.dbt_project, "ml", "ml_demand_panel")


def calendar_contract(settings: Settings) -> Contract:
    """Contract of ``ml_demand_calendar``, the lake table ``features/demand_calendar``."""
    return mart_contract(settings.dbt_project, "ml", "ml_demand_calendar")


def ahead_contract(settings: Settings) -> Contract:
    """Contract of ``ml_demand_ahead``, the lake table ``features/demand_ahead``."""
    return mart_contract(settings.dbt_project, "ml", "ml_demand_ahead")


def profile_contract(settings: Settings) -> Contract:
    """Contract of ``ml_demand_profile``, the lake table ``features/demand_profile``."""
    return mart_contract(settings.dbt_project, "ml", "ml_demand_profile")


def out_of_scope_contract(settings: Settings) -> Contract:
    """Contract of ``ml_demand_out_of_scope``, the lake table ``features/demand_out_of_scope``."""
    return mart_contract(settings.dbt_project, "ml", "ml_demand_out_of_scope")
