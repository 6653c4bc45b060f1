"""Imputation of a day: when its measurements arrive, and every morning (`imputation_daily`).

Completes the parts of the day in several data sets by the champion and commits them to
`predictions/imputation_completed`, with the seed and the model version; measured cells are audited to be
unchanged. Then compares the day with the training parts and writes the report.

- **Grain**: one row per completed data set, part and sensor.
- **Idempotent**: the day's partitions are replaced; the same inputs give identical bytes.
- **When it fails**: readers of the data sets have none of this day; see `docs/imputation.md`, runbook.
"""

from __future__ import annotations

from airflow.sdk import dag

from pipelines.orchestration.assets import lake_asset, model_asset
from pipelines.orchestration.defaults import Pool, Tag, dag_kwargs, each_day_of
from pipelines.orchestration.steps import step_task

COMPLETED = lake_asset("predictions/imputation_completed")
MEASUREMENTS = lake_asset("raw/imputation_measurements")
MODEL = model_asset("imputation")


@dag(
    dag_id="imputation_complete",
    schedule=each_day_of(MEASUREMENTS),
    tags=["usecase:imputation", Tag.SCORE, Tag.TIER_2],
    doc_md=__doc__,
    **dag_kwargs(),
)
def imputation_complete() -> None:
    prepare = step_task("imputation", "prepare", inlets=[MEASUREMENTS], pool=Pool.DBT)
    score = step_task("imputation", "score", makes=COMPLETED, inlets=[MODEL])
    monitor = step_task("imputation", "monitor")
    prepare >> score >> monitor >> step_task("imputation", "report").as_teardown()


imputation_complete()
