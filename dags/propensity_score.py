"""Bank products, scoring: every Monday at 07:00, chances of every product and three offers for each customer.

Scores the customers who consented to marketing with the champion, commits chances and offers, publishes one record per
customer to Salesforce, and compares the day with the training.

- **Grain**: one row per customer in scope and `as_of`.
- **Idempotent**: the day's partition is replaced; unchanged records are not sent.
- **When it fails**: Salesforce keeps last week's offers; see `docs/propensity.md`, runbook.
"""

from __future__ import annotations

from airflow.sdk import dag

from pipelines.orchestration.assets import lake_asset, model_asset
from pipelines.orchestration.defaults import Pool, Tag, dag_kwargs, schedule
from pipelines.orchestration.steps import step_task

MODEL = model_asset("propensity")
OFFERS = lake_asset("predictions/propensity_offers")


@dag(
    dag_id="propensity_score",
    schedule=schedule("0 7 * * 1"),
    tags=["usecase:propensity", Tag.SCORE, Tag.PUBLISH, Tag.TIER_2],
    doc_md=__doc__,
    **dag_kwargs(),
)
def propensity_score() -> None:
    prepare = step_task("propensity", "prepare", pool=Pool.DBT)
    score = step_task("propensity", "score", makes=OFFERS, inlets=[MODEL])
    publish = step_task("propensity", "publish", inlets=[OFFERS], pool=Pool.SALESFORCE)
    monitor = step_task("propensity", "monitor")
    prepare >> score >> publish >> monitor >> step_task("propensity", "report").as_teardown()


propensity_score()
