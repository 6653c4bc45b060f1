"""Demand backtest: every Sunday at 02:00, decides which model serves which kind of series.

Searches SARIMA orders per cluster of series, fits the global models on past origins, lets all models
compete on later ones, calibrates the prediction intervals, and lets the gate judge the result on the
newest origins, on which nothing was chosen.

- **Grain**: one registered version; one row per series in `predictions/demand_series`.
- **Idempotent**: the same data, parameters and code reuse the version.
- **When it fails**: the last champions keep serving; see `docs/demand.md`, runbook.
"""

from __future__ import annotations

from airflow.sdk import dag

from pipelines.orchestration.assets import model_asset
from pipelines.orchestration.defaults import Pool, Tag, dag_kwargs, schedule
from pipelines.orchestration.steps import step_task

MODEL = model_asset("demand")


@dag(
    dag_id="demand_backtest",
    schedule=schedule("0 2 * * 0"),
    tags=["usecase:demand", Tag.TRAIN, Tag.TIER_2],
    doc_md=__doc__,
    **dag_kwargs(),
)
def demand_backtest() -> None:
    prepare = step_task("demand", "prepare", options={"training": True}, pool=Pool.DBT)
    prepare >> step_task("demand", "train") >> step_task("demand", "gate", makes=MODEL)


demand_backtest()
