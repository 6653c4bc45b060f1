"""The demo of bank products: train, score, publish, and compare Salesforce with the lake."""

from __future__ import annotations

from datetime import date

from pipelines.errors import MillraceError
from pipelines.lab.airflow_api import AirflowApi
from pipelines.lab.demo import TODAY, Demo, Say, run_dag
from pipelines.lab.local import LocalStack
from pipelines.settings import Settings

TRAINED_ON = date(2025, 11, 3)  # first Monday of the month
SCORED_ON = TODAY


def _seed_customers(settings: Settings, stack: LocalStack) -> None:
    """Give the emulated org the bank's customers, as a real org would have them."""
    from pipelines.io.lake import Lake

    ids = Lake.of(settings).read("raw/propensity_customers", columns=["customer_id"])["customer_id"]
    stack.seed_accounts({key: f"Customer {key}" for key in sorted(set(ids.to_pylist()))})


def _run_propensity(api: AirflowApi, say: Say) -> None:
    run_dag(api, say, "propensity_train", TRAINED_ON)
    run_dag(api, say, "propensity_score", SCORED_ON)


def _check_propensity(settings: Settings, stack: LocalStack) -> list[str]:
    """Compare Salesforce with the customers who have offers.

    Raises
    ------
    MillraceError
        They differ.
    """
    from pipelines.io.lake import Lake, on_day
    from pipelines.usecases.propensity.schemas import OFFERS

    lake = Lake.of(settings)
    keys = set(
        lake.read(OFFERS, columns=["customer_key"], where=on_day(SCORED_ON))["customer_key"].to_pylist()
    )
    rows = lake.read("raw/propensity_customers", columns=["customer_id", "customer_key"]).to_pylist()
    wanted = {row["customer_id"] for row in rows if row["customer_key"] in keys}
    held = {record["External_Id__c"] for record in stack.salesforce_records("Product_Offer__c")}
    if held != wanted or not held:
        raise MillraceError(
            f"Salesforce must hold exactly the {len(wanted)} customers with offers, got {len(held)}: missing "
            f"{sorted(wanted - held)[:5]}, not wanted {sorted(held - wanted)[:5]}"
        )
    return [f"Salesforce holds exactly the {len(wanted):,} customers with offers of {SCORED_ON}"]


DEMO = Demo(
    usecase="propensity",
    dags=frozenset({"propensity_train", "propensity_score"}),
    what="a bank",
    size={"customers": 6_000},
    until=TODAY,
    prepare=_seed_customers,
    run=_run_propensity,
    check=_check_propensity,
    # What so small a bank can show.
    overrides={
        "gate.bootstrap_replicates": 100,
        "gate.min_events": 25,
        "gate.max_failed_share": 0.5,
        "gate.confidence": 0.6,
        "forest.min_events": 20,
    },
    small_size={"customers": 2_500},
    small_overrides={"forest.n_estimators": 30, "gate.max_failed_share": 1.0, "gate.min_takers": 100},
)
