"""Contracts of the repurchase marts, read from the dbt project."""

from __future__ import annotations

from features.contracts import Contract
from pipelines.io.marts import mart_contract
from pipelines.settings import Settings
from pipelines.sources.landed import landed_table
from pipelines.usecases.repurchase.layouts import LAYOUTS, ORDERS

USECASE = "repurchase"

#: Raw tables that the feature models read.
RAW_TABLES = tuple(landed_table(USECASE, layout) for layout in LAYOUTS)

#: The one table that knows natural ids and pseudonyms; only the outbound models join it.
ORDERS_TABLE = landed_table(USECASE, ORDERS)

#: Tables that a shop may lack: without lines and products, only *when* customers come back is predicted.
OPTIONAL_TABLES = tuple(landed_table(USECASE, layout).name for layout in LAYOUTS if layout is not ORDERS)


def customers_contract(settings: Settings) -> Contract:
    """Contract of ``ml_repurchase_customers``, the lake table ``features/repurchase_customers``."""
    return mart_contract(settings.dbt_project, "ml", "ml_repurchase_customers")


def candidates_contract(settings: Settings) -> Contract:
    """Contract of ``ml_repurchase_candidates``, the lake table ``features/repurchase_candidates``."""
    return mart_contract(settings.dbt_project, "ml", "ml_repurchase_candidates")


def training_contract(settings: Settings) -> Contract:
    """Contract of ``ml_repurchase_training``, the lake table ``features/repurchase_training``."""
    return mart_contract(settings.dbt_project, "ml", "ml_repurchase_training")


def labels_contract(settings: Settings) -> Contract:
    """Contract of ``ml_repurchase_labels``, the lake table ``features/repurchase_labels``."""
    return mart_contract(settings.dbt_project, "ml", "ml_repurchase_labels")


def salesforce_contract(settings: Settings) -> Contract:
    """Contract of ``exp_salesforce__next_orders``, the outbound rows for marketing."""
    return mart_contract(settings.dbt_project, "exports", "exp_salesforce__next_orders")
