"""Repurchase training: a challenger on the first Sunday of the month, and the gate that lets it serve.

Builds the stack of past snapshots with the SQL that builds today's features, fits when customers come back and with
what, and judges both out of time against simpler rules. The challenger becomes `champion` only if the gate passes; the
verdict, in words, is in the task's result, in MLflow and in `ops/promotions`.

- **Grain**: one model version per `as_of` and content of data, parameters and code.
- **Idempotent**: the same content reuses the registered version and its verdict.
- **When it fails or refuses**: last month's champion keeps serving; see `docs/repurchase.md`, runbook.
"""

from __future__ import annotations

from airflow.sdk import dag

from pipelines.orchestration.assets import model_asset
from pipelines.orchestration.defaults import Pool, Tag, dag_kwargs, schedule
from pipelines.orchestration.steps import step_task

MODEL = model_asset("repurchase")


@dag(
    dag_id="repurchase_train",
    schedule=schedule("30 2 * * SUN#1"),
    tags=["usecase:repurchase", Tag.TRAIN, Tag.TIER_2],
    doc_md=__doc__,
    **dag_kwargs(),
)
def repurchase_train() -> None:
    prepare = step_task("repurchase", "prepare", options={"training": True}, pool=Pool.DBT)
    prepare >> step_task("repurchase", "train") >> step_task("repurchase", "gate", makes=MODEL)


repurchase_train()
