"""Churn scores: every Monday at 06:00, before the customer-success team starts.

Scores the accounts in scope with the champion, gives three reasons and an action for each, audits
the result and commits it to `predictions/churn_scores`; then compares the week with the reference.

- **Grain**: one row per account in scope and `as_of`.
- **Idempotent**: the day's partition is replaced; the same inputs give identical bytes.
- **When it fails**: Salesforce keeps last week's scores; see `docs/churn.md`, runbook.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import dag, task

from pipelines.orchestration.assets import CHURN_FEATURES, CHURN_MODEL, CHURN_SCORES
from pipelines.orchestration.defaults import AS_OF, Pool, Tag, dag_kwargs, schedule
from pipelines.orchestration.notifications import notify_alarms


@dag(
    dag_id="churn_score",
    schedule=schedule("0 6 * * 1"),
    tags=[Tag.CHURN, Tag.SCORE, Tag.TIER_1],
    doc_md=__doc__,
    **dag_kwargs(),
)
def churn_score() -> None:
    @task(pool=Pool.DBT)
    def prepare(as_of: str) -> dict[str, Any]:
        from pipelines.usecases import run_step

        return run_step("churn", "prepare", as_of, only_if_missing=True)

    @task(inlets=[CHURN_FEATURES, CHURN_MODEL], outlets=[CHURN_SCORES])
    def score(as_of: str, *, outlet_events: Any = None) -> dict[str, Any]:
        from pipelines.usecases import run_step

        record = run_step("churn", "score", as_of)
        outlet_events[CHURN_SCORES].extra = {"as_of": as_of}
        return record

    @task
    def monitor(as_of: str) -> dict[str, Any]:
        from pipelines.usecases import run_step

        record = run_step("churn", "monitor", as_of)
        notify_alarms(record["alarms"])
        return record

    prepare(as_of=AS_OF) >> score(as_of=AS_OF) >> monitor(as_of=AS_OF)


churn_score()
