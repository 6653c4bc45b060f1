"""Store features: on the first of each month at 05:30, what sets the stores apart; then they are grouped.

Builds `features/clustering` from the tables of demand. Its asset triggers `store_clustering`, so the stores are
grouped monthly and whenever the features of a day are built anew, for instance after a corrected delivery.

- **Grain**: one row per store known on the day.
- **Idempotent**: the day's partition is replaced.
- **When it fails**: the stores keep the groups of the last month; see `docs/clustering.md`, runbook.
"""

from __future__ import annotations

from airflow.sdk import dag

from pipelines.orchestration.assets import lake_asset
from pipelines.orchestration.defaults import Pool, Tag, dag_kwargs, schedule
from pipelines.orchestration.steps import step_task

FEATURES = lake_asset("features/clustering")


@dag(
    dag_id="store_features",
    schedule=schedule("30 5 1 * *"),
    tags=["usecase:clustering", Tag.FEATURES, Tag.TIER_2],
    doc_md=__doc__,
    **dag_kwargs(),
)
def store_features() -> None:
    step_task("clustering", "prepare", makes=FEATURES, pool=Pool.DBT)


store_features()
