"""Churn publication: scores into Salesforce as soon as they are committed.

Triggered by the scores asset rather than at 14:00: hours are left to mend a failure before the
customer-success team plans its afternoon (`docs/decisions/`). Sends changed rows only, keeps every
row's fate in the ledger and resumes after a crash without sending twice.

- **Grain**: one `Churn_Score__c` record per account in scope.
- **Idempotent**: unchanged rows are not sent; an older `as_of` than the published one is refused.
- **When it fails**: retry resumes from the ledger; see `docs/churn.md`, runbook.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import dag, task

from pipelines.orchestration.assets import CHURN_SCORES
from pipelines.orchestration.defaults import AS_OF, Pool, Tag, dag_kwargs


@dag(
    dag_id="churn_publish",
    schedule=CHURN_SCORES,
    tags=[Tag.CHURN, Tag.PUBLISH, Tag.TIER_1],
    doc_md=__doc__,
    **dag_kwargs(),
)
def churn_publish() -> None:
    @task(inlets=[CHURN_SCORES], pool=Pool.SALESFORCE)
    def publish(as_of: str) -> dict[str, Any]:
        from pipelines.usecases import run_step

        return run_step("churn", "publish", as_of)

    @task
    def report(as_of: str) -> dict[str, Any]:
        from pipelines.usecases import run_step

        return run_step("churn", "report", as_of)

    # A teardown runs even when publishing failed, and does not hide that it did.
    publish(as_of=AS_OF) >> report(as_of=AS_OF).as_teardown()


churn_publish()
