"""The demo of churn: train, then score and publish week by week, and compare Salesforce with the lake."""

from __future__ import annotations

from datetime import date

from pipelines.errors import MillraceError
from pipelines.lab.airflow_api import AirflowApi
from pipelines.lab.demo import TODAY, Demo, Say, await_triggered, run_dag
from pipelines.lab.local import LocalStack
from pipelines.settings import Settings

TRAINED_ON = date(2025, 11, 3)  # first Monday of the month
SCORED_ON = (date(2025, 11, 17), date(2025, 11, 24), TODAY)


def _seed_accounts(settings: Settings, stack: LocalStack) -> None:
    """Give the emulated org the company's accounts, as a real org would have them."""
    from pipelines.io.lake import Lake

    accounts = Lake.of(settings).read("raw/churn_accounts", columns=["account_id", "account_name"])
    names = dict(zip(accounts["account_id"].to_pylist(), accounts["account_name"].to_pylist(), strict=True))
    stack.seed_accounts(names)


def _run_churn(api: AirflowApi, say: Say) -> None:
    """Train, then score and publish week by week; the scores asset triggers the publication."""
    run_dag(api, say, "churn_train", TRAINED_ON)
    for day in SCORED_ON:
        if day == SCORED_ON[-1]:
            run_dag(api, say, "churn_features", day)
        published = api.runs("churn_publish")
        run_dag(api, say, "churn_score", day)
        await_triggered(api, say, "churn_publish", published, f"as_of {day}, triggered by the scores")


def _check_churn(settings: Settings, stack: LocalStack) -> list[str]:
    """Compare Salesforce with the accounts in scope, and look at the ledger.

    Raises
    ------
    MillraceError
        They differ, or the ledger does not balance.
    """
    import pyarrow.dataset as pa_dataset

    from pipelines.io.lake import Lake
    from pipelines.sinks.ledger import Ledger

    lake = Lake.of(settings)
    today = pa_dataset.field("as_of") == SCORED_ON[-1]
    in_scope = lake.read(
        "features/churn", columns=["account_key"], where=today & pa_dataset.field("in_scope")
    )
    keys = set(in_scope["account_key"].to_pylist())
    accounts = lake.read("raw/churn_accounts", columns=["account_id", "account_key"]).to_pylist()
    wanted = {row["account_id"] for row in accounts if row["account_key"] in keys}
    held = {record["External_Id__c"] for record in stack.salesforce_records("Churn_Score__c")}
    if held != wanted:
        raise MillraceError(
            f"Salesforce must hold exactly the {len(wanted)} accounts in scope, got {len(held)}: "
            f"missing {sorted(wanted - held)[:5]}, not wanted {sorted(held - wanted)[:5]}"
        )
    run = Ledger(lake, "salesforce", "Churn_Score__c").newest()
    counts = run.counts() if run else None
    if counts is None or not counts.balanced or counts.unknown or counts.dead:
        raise MillraceError(f"the publish ledger must balance without open rows, got {counts}")
    return [
        f"Salesforce holds exactly the {len(wanted):,} accounts in scope on {SCORED_ON[-1]}",
        f"ledger of the last publication: {counts.sent:,} sent = {counts.ok:,} ok + {counts.failed:,} failed "
        f"+ {counts.unknown:,} unknown; {counts.skipped:,} unchanged, {counts.deleted:,} removed",
    ]


DEMO = Demo(
    usecase="churn",
    dags=frozenset({"churn_features", "churn_train", "churn_score", "churn_publish"}),
    what="a company of paying accounts",
    size={"accounts": 15_000},
    until=TODAY,
    prepare=_seed_accounts,
    run=_run_churn,
    check=_check_churn,
    small_size={"accounts": 500},
    small_overrides={
        "snapshots.months": 10,
        "snapshots.holdout_months": 3,
        "tuning.trials": 0,
        "gate.bootstrap_replicates": 100,
    },
)
