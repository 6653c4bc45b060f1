"""The demo of demand: a backtest, three nights, and DynamoDB compared with the lake."""

from __future__ import annotations

from datetime import date

from pipelines.errors import MillraceError
from pipelines.lab.airflow_api import AirflowApi
from pipelines.lab.demo import Demo, Say, run_dag
from pipelines.lab.local import LocalStack
from pipelines.settings import Settings

#: The chain's data end in June, half a year before the other companies': in November a chain this small gives its
#: models no lead over seasonal naive that the gate would call more than luck. The backtest and the first
#: forecast are on a Sunday; eight days later they can be held against the sales and against yesterday's forecasts.
BACKTESTED_ON = date(2025, 6, 1)
FORECAST_ON = (BACKTESTED_ON, date(2025, 6, 8), date(2025, 6, 9))

#: Quantities are served with three decimals each.
_ROUNDING = 0.05


def _run_demand(api: AirflowApi, say: Say) -> None:
    """Let the models compete, then forecast and publish."""
    run_dag(api, say, "demand_backtest", BACKTESTED_ON)
    for day in FORECAST_ON:
        run_dag(api, say, "demand_forecast", day)


def _check_demand(settings: Settings, stack: LocalStack) -> list[str]:
    """Compare what DynamoDB serves with the forecasts in the lake.

    Raises
    ------
    MillraceError
        They differ.
    """
    import pyarrow.dataset as pa_dataset

    from pipelines.io.lake import Lake
    from pipelines.sinks.dynamodb.reader import Reader
    from pipelines.usecases.demand.schemas import AGGREGATES, FORECASTS

    today = pa_dataset.field("as_of") == FORECAST_ON[-1]
    columns = ["store_id", "sku_id", "operational"]
    rows = Lake.of(settings).read(FORECASTS, columns=columns, where=today)
    sums = rows.group_by(["store_id", "sku_id"]).aggregate([("operational", "sum")]).to_pylist()
    wanted = {f"sku_store#{row['store_id']}#{row['sku_id']}": row["operational_sum"] for row in sums}
    with stack.reaching_dynamodb() as reached, Reader.open(reached, "demand") as reader:
        items = reader.get_many(wanted)
    served = {key: float(sum(item["operational"])) for key, item in items.found.items()}
    nodes = Lake.of(settings).read(AGGREGATES, columns=["level", "node"], where=today)
    whole = len(wanted) + nodes.group_by(["level", "node"]).aggregate([]).num_rows
    wrong = [key for key, total in wanted.items() if abs(served.get(key, -1.0) - total) > _ROUNDING]
    if wrong or items.pointer.items != whole or items.pointer.as_of != FORECAST_ON[-1]:
        raise MillraceError(
            f"DynamoDB must serve the {len(wanted)} series forecast on {FORECAST_ON[-1]}, got version "
            f"{items.pointer.version} of {items.pointer.items} items ({whole} with all nodes), in which {len(wrong)} series "
            f"are missing or differ: {sorted(wrong)[:5]}"
        )
    return [
        f"DynamoDB serves version {items.pointer.version} with exactly the {len(wanted):,} series forecast on "
        f"{FORECAST_ON[-1]}, and the totals of stores, regions and the nation"
    ]


DEMO = Demo(
    usecase="demand",
    dags=frozenset({"demand_backtest", "demand_forecast"}),
    what="a retail chain",
    size={"stores": 8, "skus": 150, "rows": 300_000},
    until=FORECAST_ON[-1],
    # What a chain this small asks of the backtest.
    overrides={
        "backtest.training_weeks": 20,
        "backtest.local_series": 8,
        "boosting.max_rows": 120_000,
        "boosting.rounds": 150,
    },
    run=_run_demand,
    check=_check_demand,
    small_size={"stores": 6, "skus": 40, "rows": 60_000},
    small_overrides={
        "backtest.training_weeks": 8,
        "backtest.selection_origins": 2,
        "backtest.judging_origins": 2,
        "backtest.local_series": 5,
        "boosting.max_rows": 30_000,
        "boosting.rounds": 40,
        "gate.bootstrap_replicates": 100,
    },
)
