"""Churn features: every account's history as known on Monday morning.

Runs dbt over the raw tables and publishes the day's partition of `features/churn`, together with the
labels of past Mondays that are complete by now.

- **Grain**: one row per account and `as_of`.
- **Idempotent**: the partition of the day is replaced.
- **When it fails**: scoring at 06:00 prepares them itself; see `docs/churn.md`, runbook.
"""

from __future__ import annotations

from airflow.sdk import dag

from pipelines.orchestration.assets import lake_asset
from pipelines.orchestration.defaults import Pool, Tag, dag_kwargs, schedule
from pipelines.orchestration.steps import step_task

FEATURES = lake_asset("features/churn")


@dag(
    dag_id="churn_features",
    schedule=schedule("0 5 * * 1"),
    tags=["usecase:churn", Tag.FEATURES, Tag.TIER_1],
    doc_md=__doc__,
    **dag_kwargs(),
)
def churn_features() -> None:
    step_task("churn", "prepare", makes=FEATURES, pool=Pool.DBT)


churn_features()
