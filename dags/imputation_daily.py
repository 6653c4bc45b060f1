"""Imputation every day at 05:00: announces the day's measurements, whether or not someone else did.

Lands nothing: the announcement runs `imputation_complete`, which works with the measurements that have landed by
now. A DAG of its own, because in Airflow a DAG runs either by the clock or once per day of an asset
(`docs/decisions/0025-one-run-per-day.md`).

- **Grain**: one event of the asset `imputation_measurements` per day.
- **Idempotent**: a day that is announced again is completed again, with the same result.
- **When it fails**: the day is completed when its measurements are announced; see `docs/imputation.md`, runbook.
"""

from __future__ import annotations

from airflow.sdk import dag

from pipelines.orchestration.assets import lake_asset
from pipelines.orchestration.defaults import Tag, dag_kwargs, schedule
from pipelines.orchestration.steps import announce_task

MEASUREMENTS = lake_asset("raw/imputation_measurements")


@dag(
    dag_id="imputation_daily",
    schedule=schedule("0 5 * * *"),
    tags=["usecase:imputation", Tag.SCORE, Tag.TIER_2],
    doc_md=__doc__,
    **dag_kwargs(),
)
def imputation_daily() -> None:
    announce_task(MEASUREMENTS)


imputation_daily()
