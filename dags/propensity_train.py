"""Bank products, training: a forest per product on the first Monday of the month, and the gate that lets them serve.

Builds the stack of past snapshots with the SQL that builds today's features, fits the forests and judges them and the
lists of neighbours out of time. The challenger becomes `champion` only if the gate passes.

- **Grain**: one model version per `as_of` and content of data, parameters and code.
- **Idempotent**: the same content reuses the registered version and its verdict.
- **When it fails or refuses**: last month's champion keeps serving; see `docs/propensity.md`, runbook.
"""

from __future__ import annotations

from airflow.sdk import dag

from pipelines.orchestration.assets import model_asset
from pipelines.orchestration.defaults import Pool, Tag, dag_kwargs, schedule
from pipelines.orchestration.steps import step_task

MODEL = model_asset("propensity")


@dag(
    dag_id="propensity_train",
    schedule=schedule("30 3 * * MON#1"),
    tags=["usecase:propensity", Tag.TRAIN, Tag.TIER_2],
    doc_md=__doc__,
    **dag_kwargs(),
)
def propensity_train() -> None:
    prepare = step_task("propensity", "prepare", options={"training": True}, pool=Pool.DBT)
    prepare >> step_task("propensity", "train") >> step_task("propensity", "gate", makes=MODEL)


propensity_train()
