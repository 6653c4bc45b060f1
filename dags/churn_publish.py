"""Churn publication: scores into Salesforce as soon as they are committed.

Runs when the scores of a day are committed, not at 14:00: hours are left to fix a failure before the
customer-success team plans its afternoon (`docs/decisions/`). Sends changed rows only, records every
row's fate in the ledger and resumes after a crash without sending anything twice.

- **Grain**: one `Churn_Score__c` record per account in scope.
- **Idempotent**: unchanged rows are not sent; an older `as_of` than the published one is refused.
- **When it fails**: a retry resumes from the ledger; see `docs/churn.md`, runbook.
"""

from __future__ import annotations

from airflow.sdk import dag

from pipelines.orchestration.assets import lake_asset
from pipelines.orchestration.defaults import Pool, Tag, dag_kwargs, each_day_of
from pipelines.orchestration.steps import step_task

SCORES = lake_asset("predictions/churn_scores")


@dag(
    dag_id="churn_publish",
    schedule=each_day_of(SCORES),
    tags=["usecase:churn", Tag.PUBLISH, Tag.TIER_1],
    doc_md=__doc__,
    **dag_kwargs(),
)
def churn_publish() -> None:
    publish = step_task("churn", "publish", inlets=[SCORES], pool=Pool.SALESFORCE)
    # A teardown runs even when publishing failed, and does not hide that it did.
    publish >> step_task("churn", "report").as_teardown()


churn_publish()
