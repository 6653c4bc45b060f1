"""The demo: simulated companies, every DAG on them through the real Airflow, all on this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

from pipelines.airflow_api import AirflowApi
from pipelines.errors import ConfigError, MillraceError
from pipelines.local import LocalStack, Ports, wait_until
from pipelines.measure import PeakMemory, Stopwatch
from pipelines.settings import Settings

Say = Callable[[str], None]

DAGS = {
    "churn_features", "churn_train", "churn_score", "churn_publish", "demand_backtest", "demand_forecast",
}  # fmt: skip
TRAINED_ON = date(2025, 11, 3)  # first Monday of the month
SCORED_ON = (date(2025, 11, 17), date(2025, 11, 24), date(2025, 12, 1))
SIMULATED_UNTIL = date(2025, 12, 1)

#: The retailer's data end in June: its backtest and first forecast are on a Sunday, and eight days later
#: they can be held against the sales and against yesterday's forecasts.
CHAIN_UNTIL = date(2025, 6, 9)
BACKTESTED_ON = date(2025, 6, 1)
FORECAST_ON = (date(2025, 6, 1), date(2025, 6, 8), date(2025, 6, 9))
CHAIN = {"stores": 8, "skus": 150, "rows": 300_000}

#: What a chain this small asks of the backtest.
DEMAND_OVERRIDES = {
    "backtest.training_weeks": 20,
    "backtest.local_series": 8,
    "boosting.max_rows": 120_000,
    "boosting.rounds": 150,
}

#: Quantities are served with three decimals each.
_ROUNDING = 0.05

#: Written into a demo's folder, so that only a demo's own files are ever removed.
MARKER = ".millrace-demo"
INSTALL_SECONDS = "MILLRACE_DEMO_INSTALL_SECONDS"


def run_demo(settings: Settings, *, accounts: int, keep: bool, say: Say) -> None:
    """Generate, ingest, train, score, publish and report through Airflow, then check the result.

    Raises
    ------
    ConfigError
        The folder holds data that no demo made.
    MillraceError
        A DAG failed, Salesforce does not hold exactly the accounts in scope, or DynamoDB not exactly the
        series forecast.
    """
    os.environ.setdefault("MILLRACE_DEMAND_PARAMS", json.dumps(DEMAND_OVERRIDES))
    _claim_folder(settings, keep)
    watch, ports = Stopwatch(), Ports.free()
    if os.environ.get(INSTALL_SECONDS):
        watch.seconds["install"] = float(os.environ[INSTALL_SECONDS])
    with PeakMemory() as memory, LocalStack(settings, ports) as stack:
        migration = threading.Thread(target=stack.migrate_airflow)
        migration.start()  # Airflow makes its tables while the company is simulated
        with watch.phase("data"):
            _make_data(settings, accounts, say)
        with watch.phase("start of services"):
            migration.join()
            stack.start_emulator()
            stack.start_dynamodb()
            _seed_accounts(settings, stack)
            stack.start_airflow()
            wait_until(lambda: stack.airflow.has_dags(DAGS), "Airflow to parse the DAGs", 120)
            for dag_id in sorted(DAGS):
                stack.airflow.unpause(dag_id)
        with watch.phase("DAGs"):
            _run_dags(stack.airflow, say)
        checks = [*_check_churn(settings, stack), *_check_demand(settings, stack)]
    _summarise(settings, watch, memory.peak_mb, checks, say)


def serve(settings: Settings, *, say: Say) -> None:
    """Run the local deployment until interrupted."""
    ports = Ports()
    with LocalStack(settings, ports) as stack:
        say("starting Airflow, MLflow, the Salesforce emulator and DynamoDB's twin on loopback ...")
        stack.migrate_airflow()
        stack.start_emulator()
        stack.start_dynamodb()
        stack.start_mlflow()
        stack.start_airflow()
        say(f"  Airflow     http://127.0.0.1:{ports.airflow}")
        say(f"  MLflow      http://127.0.0.1:{ports.mlflow}")
        say(f"  Salesforce  https://127.0.0.1:{ports.salesforce} (emulator)")
        say(f"  reports     {settings.report_dir / 'index.html'}")
        say(f"  logs        {settings.var / 'logs'}")
        say("Ctrl-C stops them.")
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            say("stopping")


def _claim_folder(settings: Settings, keep: bool) -> None:
    """Make sure that only a demo's own files are replaced; without ``keep``, remove them."""
    var, marker = settings.var, settings.var / MARKER
    if (var / "lake").exists() and not marker.exists():
        raise ConfigError(
            f"{var} holds data that no demo made and the demo would replace it: "
            "set MILLRACE_VAR to another folder"
        )
    if not keep:
        for name in ("lake", "data", "mlflow", "airflow", "emulator", "report", "runs", "logs", "gx"):
            shutil.rmtree(var / name, ignore_errors=True)
    var.mkdir(parents=True, exist_ok=True)
    marker.write_text("Made by `millrace demo`, which may remove the folders beside this file.\n")


def _make_data(settings: Settings, accounts: int, say: Say) -> None:
    """Simulate and land by the commands that a person would use; their memory goes when they end."""
    company = f"a company with {accounts:,} paying accounts"
    chain = f"a retailer with {CHAIN['stores']} stores and {CHAIN['skus']} products"
    wanted = (
        ("churn", company, {"accounts": accounts}, SIMULATED_UNTIL),
        ("demand", chain, CHAIN, CHAIN_UNTIL),
    )
    with ThreadPoolExecutor() as pool:
        made = [pool.submit(_generate_and_land, settings, *one, say) for one in wanted]
    for report in made:
        for table in report.result()["tables"]:
            landed = table["landed"] + table["already_landed"]
            say(f"  {table['table']:<18} {landed:>10,} rows landed, {table['quarantined']:,} quarantined")


def _generate_and_land(
    settings: Settings, usecase: str, what: str, size: Mapping[str, int], end: date, say: Say
) -> Any:
    folder = settings.var / "data" / usecase
    if folder.exists():
        say(f"data: kept {folder}")
    else:
        say(f"data: simulating {what} over three years ...")
        options = [text for name, value in size.items() for text in (f"--{name}", str(value))]
        _millrace(settings, "generate", usecase, *options, "--end", str(end), "--to", str(folder))
    return _millrace(settings, "ingest", usecase, "--from", str(folder))


def _millrace(settings: Settings, *arguments: str) -> Any:
    """Run a command of ours and decode its JSON.

    Raises
    ------
    MillraceError
        It failed.
    """
    command = [sys.executable, "-m", "pipelines.cli", *arguments, "--json"]
    environment = {**os.environ, "MILLRACE_VAR": str(settings.var)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise MillraceError(f"millrace {' '.join(arguments)} failed: {done.stderr.strip()[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def _seed_accounts(settings: Settings, stack: LocalStack) -> None:
    """Give the emulated org the company's accounts, as a real org would have them."""
    from pipelines.io.lake import Lake

    accounts = Lake.of(settings).read("raw/churn_accounts", columns=["account_id", "account_name"])
    names = dict(zip(accounts["account_id"].to_pylist(), accounts["account_name"].to_pylist(), strict=True))
    stack.seed_accounts(names)


def _run_dags(api: AirflowApi, say: Say) -> None:
    """Run both use cases side by side, as a scheduler would: their DAGs share nothing but the pools."""
    say("DAGs, through Airflow's scheduler:")
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(_run_demand, api, say), pool.submit(_run_churn, api, say)]:
            done.result()


def _finish(api: AirflowApi, say: Say, dag_id: str, run_id: str, what: str) -> None:
    done = api.wait(dag_id, run_id, seconds=1200)
    say(f"  {dag_id:<16} {what}: {done.state} in {done.seconds:.0f} s")


def _run(api: AirflowApi, say: Say, dag_id: str, day: date) -> None:
    _finish(api, say, dag_id, api.trigger(dag_id, str(day)), f"as_of {day}")


def _run_churn(api: AirflowApi, say: Say) -> None:
    """Train, then score and publish week by week; the scores asset triggers the publication."""
    _run(api, say, "churn_train", TRAINED_ON)
    published: set[str] = set()
    for day in SCORED_ON:
        if day == SCORED_ON[-1]:
            _run(api, say, "churn_features", day)
        _run(api, say, "churn_score", day)
        while not (new := set(api.runs("churn_publish")) - published):
            time.sleep(0.5)
        published |= new
        _finish(api, say, "churn_publish", new.pop(), f"as_of {day}, triggered by the scores")


def _run_demand(api: AirflowApi, say: Say) -> None:
    """Let the models compete, then forecast and publish."""
    _run(api, say, "demand_backtest", BACKTESTED_ON)
    for day in FORECAST_ON:
        _run(api, say, "demand_forecast", day)


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


def _check_demand(settings: Settings, stack: LocalStack) -> list[str]:
    """Compare what DynamoDB serves with the forecasts in the lake.

    Raises
    ------
    MillraceError
        They differ.
    """
    import pyarrow.dataset as pa_dataset

    from pipelines.demand.schemas import AGGREGATES, FORECASTS
    from pipelines.io.lake import Lake
    from pipelines.sinks.dynamodb.reader import Reader

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


def _summarise(settings: Settings, watch: Stopwatch, peak_mb: float, checks: list[str], say: Say) -> None:
    from pipelines.io.lake import Lake
    from pipelines.io.promotions import read_promotions
    from pipelines.io.runs import STEP_RUNS

    lake = Lake.of(settings)
    by_step: dict[str, float] = {}
    for row in lake.read(STEP_RUNS, columns=["usecase", "step", "seconds"]).to_pylist():
        name = f"{row['usecase']} {row['step']}"
        by_step[name] = by_step.get(name, 0.0) + row["seconds"]
    say("\nWhere the time went (seconds):")
    for phase in ("install", "data", "start of services"):
        if phase in watch.seconds:
            say(f"  {phase:<26} {watch.seconds[phase]:6.1f}")
    for step, seconds in by_step.items():
        say(f"  {step:<26} {seconds:6.1f}")
    say(f"  {'all DAGs, wall time':<26} {watch.seconds['DAGs']:6.1f}  (two use cases side by side)")
    say(f"  {'in all':<26} {sum(watch.seconds.values()):6.1f}")
    say(f"Peak memory of all processes: {peak_mb / 1024:.1f} GB")
    say("\nChecked:")
    for check in checks:
        say(f"  {check}")
    for usecase in ("churn", "demand"):
        say(f"\nGate of {usecase}: {read_promotions(lake, usecase)[-1].words}")
    say("\nLook at:")
    say(f"  {settings.report_dir / 'index.html'}   control room, churn and demand pages")
    say("  make up                          Airflow, MLflow and the emulator, with all of this in them")
