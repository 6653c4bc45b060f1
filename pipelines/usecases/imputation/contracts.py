"""Contracts of the imputation marts, read from the dbt project."""

from __future__ import annotations

from features.contracts import Contract
from pipelines.io.marts import mart_contract
from pipelines.settings import Settings
from pipelines.sources.landed import landed_table
from pipelines.usecases.imputation.layouts import LAYOUTS

USECASE = "imputation"

#: Raw tables that the feature models read.
RAW_TABLES = tuple(landed_table(USECASE, layout) for layout in LAYOUTS)

#: Marts, in the order in which they are published: cells last, as whoever finds them finds the rest.
MARTS = ("ml_imputation_parts", "ml_imputation_sensors", "ml_imputation_cells")


def mart_contracts(settings: Settings) -> dict[str, Contract]:
    """Contracts by mart: the lake tables ``features/imputation_parts``, ``_sensors`` and ``_cells``."""
    return {mart: mart_contract(settings.dbt_project, "ml", mart) for mart in MARTS}
