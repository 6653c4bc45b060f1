"""Churn training: a challenger on the first Monday of the month, and the gate that lets it serve.

Builds the stack of past snapshots with the SQL that builds today's features, fits the challenger and
the baselines, and judges them out of time. The challenger becomes `champion` only if the gate passes;
the verdict, in words, is in the task's result, in MLflow and in `ops/promotions`.

- **Grain**: one model version per `as_of` and content of data, parameters and code.
- **Idempotent**: the same content reuses the registered version and its verdict.
- **When it fails or refuses**: last month's champion keeps serving; see `docs/churn.md`, runbook.
"""

from __future__ import annotations

from airflow.sdk import dag

from pipelines.orchestration.assets import model_asset
from pipelines.orchestration.defaults import Pool, Tag, dag_kwargs, schedule
from pipelines.orchestration.steps import step_task

MODEL = model_asset("churn")


@dag(
    dag_id="churn_train",
    schedule=schedule("0 2 * * MON#1"),
    tags=["usecase:churn", Tag.TRAIN, Tag.TIER_2],
    doc_md=__doc__,
    **dag_kwargs(),
)
def churn_train() -> None:
    prepare = step_task("churn", "prepare", options={"training": True}, pool=Pool.DBT)
    prepare >> step_task("churn", "train") >> step_task("churn", "gate", makes=MODEL)


churn_train()
