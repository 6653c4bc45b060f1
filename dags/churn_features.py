"""Churn features: every account's history as known on Monday morning.

Runs dbt over the raw tables and publishes the day's partition of `features/churn`, together with the
labels of past Mondays that are complete by now.

- **Grain**: one row per account and `as_of`.
- **Idempotent**: the partition of the day is replaced.
- **When it fails**: scoring at 06:00 has no features; see `docs/churn.md`, runbook.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import dag, task

from pipelines.orchestration.assets import CHURN_FEATURES
from pipelines.orchestration.defaults import AS_OF, Pool, Tag, dag_kwargs, schedule


@dag(
    dag_id="churn_features",
    schedule=schedule("0 5 * * 1"),
    tags=[Tag.CHURN, Tag.FEATURES, Tag.TIER_1],
    doc_md=__doc__,
    **dag_kwargs(),
)
def churn_features() -> None:
    @task(outlets=[CHURN_FEATURES], pool=Pool.DBT)
    def prepare(as_of: str, *, outlet_events: Any = None) -> dict[str, Any]:
        from pipelines.usecases import run_step

        record = run_step("churn", "prepare", as_of)
        outlet_events[CHURN_FEATURES].extra = {"as_of": as_of}
        return record

    prepare(as_of=AS_OF)


churn_features()
