"""Repurchase features: every customer's orders as known this morning.

Runs dbt over the raw tables and publishes the day's partitions of `features/repurchase_customers` and
`features/repurchase_candidates`, together with the labels of past days that are complete by now.

- **Grain**: one row per customer in scope, and per product that the customer may buy again, and `as_of`.
- **Idempotent**: the partitions of the day are replaced.
- **When it fails**: `repurchase_score` builds them itself; see `docs/repurchase.md`, runbook.
"""

from __future__ import annotations

from airflow.sdk import dag

from pipelines.orchestration.assets import lake_asset
from pipelines.orchestration.defaults import Pool, Tag, dag_kwargs, schedule
from pipelines.orchestration.steps import step_task

FEATURES = lake_asset("features/repurchase_customers")


@dag(
    dag_id="repurchase_features",
    schedule=schedule("0 3 * * *"),
    tags=["usecase:repurchase", Tag.FEATURES, Tag.TIER_2],
    doc_md=__doc__,
    **dag_kwargs(),
)
def repurchase_features() -> None:
    step_task("repurchase", "prepare", makes=FEATURES, pool=Pool.DBT)


repurchase_features()
