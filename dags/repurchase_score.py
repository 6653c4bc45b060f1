"""Repurchase predictions: every day at 05:00, before the shop's busy hours and marketing's day.

Predicts for every customer in scope when the next order comes and with which products, commits that to
`predictions/repurchase_next_order` and `predictions/repurchase_baskets`, publishes to DynamoDB (the shop) and Salesforce
(marketing), and compares past predictions with the orders that came.

- **Grain**: one row per customer in scope and `as_of`; one per product on the customer's list.
- **Idempotent**: the day's partitions are replaced; what is published already is not sent again.
- **When it fails**: shop and marketing keep yesterday's predictions; see `docs/repurchase.md`, runbook.
"""

from __future__ import annotations

from airflow.sdk import dag

from pipelines.orchestration.assets import lake_asset, model_asset
from pipelines.orchestration.defaults import Pool, Tag, dag_kwargs, schedule
from pipelines.orchestration.steps import step_task

FEATURES = lake_asset("features/repurchase_customers")
MODEL = model_asset("repurchase")
PREDICTIONS = lake_asset("predictions/repurchase_next_order")


@dag(
    dag_id="repurchase_score",
    schedule=schedule("0 5 * * *"),
    tags=["usecase:repurchase", Tag.SCORE, Tag.PUBLISH, Tag.TIER_1],
    doc_md=__doc__,
    **dag_kwargs(),
)
def repurchase_score() -> None:
    prepare = step_task("repurchase", "prepare", options={"only_if_missing": True}, pool=Pool.DBT)
    inlets = [FEATURES, MODEL]
    score = step_task("repurchase", "score", makes=PREDICTIONS, inlets=inlets)
    # The shop does not wait for the comparison with past days. Salesforce has one slot; DynamoDB's keys are our own.
    publish = step_task("repurchase", "publish", inlets=[PREDICTIONS], pool=Pool.SALESFORCE)
    monitor = step_task("repurchase", "monitor")
    prepare >> score >> publish >> monitor >> step_task("repurchase", "report").as_teardown()


repurchase_score()
