"""Imputation of the day: when measurements arrive, and every morning at 05:00.

Completes the parts of the day in several data sets by the champion and commits them to
`predictions/imputation_completed`, with the seed and the model version; measured cells are audited to be
unchanged. Then compares the day with the training parts and writes the report.

- **Grain**: one row per completed data set, part and sensor.
- **Idempotent**: the day's partitions are replaced; the same inputs give identical bytes.
- **When it fails**: readers of the data sets have none of this day; see `docs/imputation.md`, runbook.
"""

from __future__ import annotations

from airflow.sdk import dag

from pipelines.orchestration.assets import IMPUTATION_COMPLETED, IMPUTATION_MEASUREMENTS, IMPUTATION_MODEL
from pipelines.orchestration.defaults import Pool, Tag, dag_kwargs, schedule_or_assets
from pipelines.orchestration.steps import step_task


@dag(
    dag_id="imputation_complete",
    schedule=schedule_or_assets("0 5 * * *", IMPUTATION_MEASUREMENTS),
    tags=[Tag.IMPUTATION, Tag.SCORE, Tag.TIER_2],
    doc_md=__doc__,
    **dag_kwargs(),
)
def imputation_complete() -> None:
    prepare = step_task("imputation", "prepare", inlets=[IMPUTATION_MEASUREMENTS], pool=Pool.DBT)
    score = step_task("imputation", "score", makes=IMPUTATION_COMPLETED, inlets=[IMPUTATION_MODEL])
    monitor = step_task("imputation", "monitor")
    prepare >> score >> monitor >> step_task("imputation", "report").as_teardown()


imputation_complete()
