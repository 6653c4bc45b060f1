"""Contracts of the churn marts, read from the dbt project."""

from __future__ import annotations

from features.contracts import Contract
from pipelines.io.marts import mart_contract
from pipelines.settings import Settings
from pipelines.sources.landed import landed_table
from pipelines.usecases.churn.layouts import ACCOUNTS, LAYOUTS

USECASE = "churn"

#: Raw tables that the feature models read.
RAW_TABLES = tuple(landed_table(USECASE, layout) for layout in LAYOUTS)


#: The one table that knows natural ids and pseudonyms; only the outbound model joins it.
ACCOUNTS_TABLE = landed_table(USECASE, ACCOUNTS)


def features_contract(settings: Settings) -> Contract:
    """Contract of ``ml_churn_features``, the lake table ``features/churn``."""
    return mart_contract(settings.dbt_project, "ml", "ml_churn_features")


def labels_contract(settings: Settings) -> Contract:
    """Contract of ``ml_churn_labels``, the lake table ``features/churn_labels``."""
    return mart_contract(settings.dbt_project, "ml", "ml_churn_labels")


def exports_contract(settings: Settings) -> Contract:
    """Contract of ``exp_salesforce__churn_scores``, the outbound rows."""
    return mart_contract(settings.dbt_project, "exports", "exp_salesforce__churn_scores")
