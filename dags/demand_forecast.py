"""Demand forecasts: every day at 04:00, before the order system opens.

Builds the features known this morning, forecasts J+1..J+14 for every product and store with the champions
of the last backtest, makes them coherent with store, region and national totals, commits them to
`predictions/demand_forecasts`, compares earlier forecasts with what was sold, and publishes to DynamoDB.

- **Grain**: one row per active product and store, and day ahead.
- **Idempotent**: the day's partition is replaced; a version that is published already is not sent again.
- **Deadline**: 06:00. After that, orders are made from yesterday's forecasts.
- **When it fails**: the order system keeps yesterday's version; see `docs/demand.md`, runbook.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import dag

from pipelines.orchestration.assets import lake_asset, model_asset
from pipelines.orchestration.defaults import Pool, Tag, dag_kwargs, deadline, schedule
from pipelines.orchestration.steps import step_task

FORECASTS = lake_asset("predictions/demand_forecasts")
MODEL = model_asset("demand")

LATE = deadline(
    timedelta(hours=2),
    what="today's demand forecasts",
    for_whom="The order system opens with yesterday's forecasts.",
)


@dag(
    dag_id="demand_forecast",
    schedule=schedule("0 4 * * *"),
    tags=["usecase:demand", Tag.SCORE, Tag.PUBLISH, Tag.TIER_1],
    doc_md=__doc__,
    deadline=LATE,
    **dag_kwargs(),
)
def demand_forecast() -> None:
    prepare = step_task("demand", "prepare", pool=Pool.DBT)
    score = step_task("demand", "score", makes=FORECASTS, inlets=[MODEL])
    # Orders do not wait for the comparison with past days: publishing comes first.
    publish = step_task("demand", "publish", inlets=[FORECASTS], pool=Pool.DYNAMODB)
    monitor = step_task("demand", "monitor")
    prepare >> score >> publish >> monitor >> step_task("demand", "report").as_teardown()


demand_forecast()
