"""Churn scores: every Monday at 06:00, before the customer-success team starts.

Scores the accounts in scope with the champion, gives three reasons and an action for each, audits
the result and commits it to `predictions/churn_scores`; then compares the week with the reference.

- **Grain**: one row per account in scope and `as_of`.
- **Idempotent**: the day's partition is replaced; the same inputs give identical bytes.
- **When it fails**: Salesforce keeps last week's scores; see `docs/churn.md`, runbook.
"""

from __future__ import annotations

from airflow.sdk import dag

from pipelines.orchestration.assets import lake_asset, model_asset
from pipelines.orchestration.defaults import Pool, Tag, dag_kwargs, schedule
from pipelines.orchestration.steps import step_task

FEATURES = lake_asset("features/churn")
MODEL = model_asset("churn")
SCORES = lake_asset("predictions/churn_scores")


@dag(
    dag_id="churn_score",
    schedule=schedule("0 6 * * 1"),
    tags=["usecase:churn", Tag.SCORE, Tag.TIER_1],
    doc_md=__doc__,
    **dag_kwargs(),
)
def churn_score() -> None:
    prepare = step_task("churn", "prepare", options={"only_if_missing": True}, pool=Pool.DBT)
    score = step_task("churn", "score", makes=SCORES, inlets=[FEATURES, MODEL])
    prepare >> score >> step_task("churn", "monitor")


churn_score()
