"""Store clustering: groups of stores with similar profiles, for each day whose features were built.

Looks for groups, lets the gate judge how clear and stable they are, assigns every store to the groups that serve,
explains which stores moved since the last run, and writes the page of the commercial managers. Demand forecasts read the
groups as an attribute of the store.

- **Grain**: one row per store in scope in `predictions/store_clusters`.
- **Idempotent**: the same data, parameters and code reuse the version; the day's partitions are replaced.
- **When it fails**: the last groups stay in use; see `docs/clustering.md`, runbook.
"""

from __future__ import annotations

from airflow.sdk import dag

from pipelines.orchestration.assets import lake_asset, model_asset
from pipelines.orchestration.defaults import Pool, Tag, dag_kwargs, each_day_of
from pipelines.orchestration.steps import step_task

CLUSTERS = lake_asset("predictions/store_clusters")
FEATURES = lake_asset("features/clustering")
MODEL = model_asset("clustering")


@dag(
    dag_id="store_clustering",
    schedule=each_day_of(FEATURES),
    tags=["usecase:clustering", Tag.TRAIN, Tag.SCORE, Tag.TIER_2],
    doc_md=__doc__,
    **dag_kwargs(),
)
def store_clustering() -> None:
    prepare = step_task("clustering", "prepare", options={"only_if_missing": True}, pool=Pool.DBT)
    train = step_task("clustering", "train", inlets=[FEATURES])
    gate = step_task("clustering", "gate", makes=MODEL)
    score = step_task("clustering", "score", makes=CLUSTERS, inlets=[MODEL])
    monitor = step_task("clustering", "monitor")
    prepare >> train >> gate >> score >> monitor >> step_task("clustering", "report").as_teardown()


store_clustering()
