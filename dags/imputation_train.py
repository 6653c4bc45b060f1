"""Imputation training: a challenger every Monday at 03:00, and the gate that lets it serve.

Fits bootstrap EM on the parts of the last weeks, takes out measured cells of the newest parts and imputes them.
The challenger becomes `champion` only if its intervals keep their word, its chains converged and every sensor is
accounted for; the verdict, in words, is in the task's result, in MLflow and in `ops/promotions`.

- **Grain**: one model version per `as_of` and content of data, parameters and code.
- **Idempotent**: the same content reuses the registered version and its verdict.
- **When it fails or refuses**: last week's champion keeps serving; see `docs/imputation.md`, runbook.
"""

from __future__ import annotations

from airflow.sdk import dag

from pipelines.orchestration.assets import model_asset
from pipelines.orchestration.defaults import Pool, Tag, dag_kwargs, schedule
from pipelines.orchestration.steps import step_task

MODEL = model_asset("imputation")


@dag(
    dag_id="imputation_train",
    schedule=schedule("0 3 * * 1"),
    tags=["usecase:imputation", Tag.TRAIN, Tag.TIER_2],
    doc_md=__doc__,
    **dag_kwargs(),
)
def imputation_train() -> None:
    prepare = step_task("imputation", "prepare", options={"training": True}, pool=Pool.DBT)
    prepare >> step_task("imputation", "train") >> step_task("imputation", "gate", makes=MODEL)


imputation_train()
