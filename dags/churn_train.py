"""Churn training: a challenger on the first Monday of the month, and the gate that lets it serve.

Builds the stack of past snapshots with the SQL that builds today's features, fits the challenger and
the baselines, and judges them out of time. The challenger becomes `champion` only if the gate passes;
the verdict, in words, is in the task's result, in MLflow and in `ops/promotions`.

- **Grain**: one model version per `as_of` and content of data, parameters and code.
- **Idempotent**: the same content reuses the registered version and its verdict.
- **When it fails or refuses**: last month's champion goes on serving; see `docs/churn.md`, runbook.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import dag, task

from pipelines.orchestration.assets import CHURN_MODEL
from pipelines.orchestration.defaults import AS_OF, Pool, Tag, dag_kwargs, schedule


@dag(
    dag_id="churn_train",
    schedule=schedule("0 2 * * MON#1"),
    tags=[Tag.CHURN, Tag.TRAIN, Tag.TIER_2],
    doc_md=__doc__,
    **dag_kwargs(),
)
def churn_train() -> None:
    @task(pool=Pool.DBT)
    def prepare(as_of: str) -> dict[str, Any]:
        from pipelines.usecases import run_step

        return run_step("churn", "prepare", as_of, training=True)

    @task
    def train(as_of: str) -> dict[str, Any]:
        from pipelines.usecases import run_step

        return run_step("churn", "train", as_of)

    @task(outlets=[CHURN_MODEL])
    def gate(as_of: str, *, outlet_events: Any = None) -> dict[str, Any]:
        from pipelines.usecases import run_step

        record = run_step("churn", "gate", as_of)
        outlet_events[CHURN_MODEL].extra = {"as_of": as_of, "outcome": record["outcome"]}
        return record

    prepare(as_of=AS_OF) >> train(as_of=AS_OF) >> gate(as_of=AS_OF)


churn_train()
