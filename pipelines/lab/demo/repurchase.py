"""The demo of repurchase: a shop's customers, what both systems hold, and one customer who is forgotten."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from pipelines.errors import MillraceError
from pipelines.lab.airflow_api import AirflowApi
from pipelines.lab.demo import TODAY, Demo, Say, run_dag
from pipelines.lab.local import LocalStack
from pipelines.settings import Settings

if TYPE_CHECKING:
    from pipelines.io.lake import Lake

TRAINED_ON = date(2025, 11, 30)
SCORED_ON = (date(2025, 11, 30), TODAY)


#: Where the predictions go.
OBJECT, NAMESPACE = "Next_Order__c", "repurchase"


def _seed_customers(settings: Settings, stack: LocalStack) -> None:
    """Give the emulated org the shop's customers, beside the accounts of churn."""
    from pipelines.io.lake import Lake

    ids = Lake.of(settings).read("raw/repurchase_orders", columns=["customer_id"])["customer_id"].unique()
    stack.seed_accounts({each: f"Customer {each}" for each in ids.to_pylist()})


def _run_repurchase(api: AirflowApi, say: Say) -> None:
    """Train, then predict and publish two days running; the second day's features by their own DAG."""
    run_dag(api, say, "repurchase_train", TRAINED_ON)
    for day in SCORED_ON:
        if day == SCORED_ON[-1]:
            run_dag(api, say, "repurchase_features", day)
        run_dag(api, say, "repurchase_score", day)


def _check_repurchase(settings: Settings, stack: LocalStack) -> list[str]:
    """Compare both systems with the lake, then forget a customer and look again.

    Raises
    ------
    MillraceError
        They differ, or the customer is still there.
    """
    from pipelines.io.lake import Lake

    wanted = _predicted(Lake.of(settings))
    gone = min(wanted)
    with stack.reaching_dynamodb() as reached:
        _compare(reached, stack, wanted, wanted, "before")
        proof = stack.millrace("forget", "--customer", gone)
        _compare(reached, stack, wanted, wanted - {gone}, "after the erasure")
    removed = sum(sum(places.values()) for places in proof["found"].values())
    return [
        f"DynamoDB and {OBJECT} in Salesforce hold exactly the {len(wanted):,} customers predicted on {SCORED_ON[-1]}",
        f"one customer was forgotten: {removed:,} rows, records, items and places in files; proof {proof['erasure_id']} in "
        "ops/erasures",
    ]


def _predicted(lake: Lake) -> set[str]:
    """Natural ids of the customers predicted on the last day."""
    import pyarrow.dataset as pa_dataset

    from pipelines.usecases.repurchase.page import customer_ids
    from pipelines.usecases.repurchase.schemas import NEXT_ORDERS

    today = pa_dataset.field("as_of") == SCORED_ON[-1]
    keys = lake.read(NEXT_ORDERS, columns=["customer_key"], where=today)["customer_key"]
    return set(customer_ids(lake, keys).values())


def _compare(settings: Settings, stack: LocalStack, asked: set[str], wanted: set[str], when: str) -> None:
    from pipelines.sinks.dynamodb.reader import Reader

    with Reader.open(settings, NAMESPACE) as reader:
        served = set(reader.get_many(sorted(asked)).found)
    held = {record["External_Id__c"] for record in stack.salesforce_records(OBJECT)}
    for name, found in (("DynamoDB", served), ("Salesforce", held)):
        if found != wanted:
            raise MillraceError(
                f"{name} must hold exactly the {len(wanted)} predicted customers {when}, got {len(found)}: missing "
                f"{sorted(wanted - found)[:5]}, not wanted {sorted(found - wanted)[:5]}"
            )


DEMO = Demo(
    usecase="repurchase",
    dags=frozenset({"repurchase_features", "repurchase_train", "repurchase_score"}),
    what="an online grocer",
    size={"customers": 1_200},
    until=TODAY,
    # What a shop this small asks of the models.
    overrides={
        "snapshots.count": 3,
        "timing.rounds": 120,
        "basket.rounds": 120,
        "gate.bootstrap_replicates": 200,
    },
    prepare=_seed_customers,
    run=_run_repurchase,
    check=_check_repurchase,
    small_size={"customers": 300},
    small_overrides={"timing.rounds": 40, "basket.rounds": 40, "gate.bootstrap_replicates": 100},
)
