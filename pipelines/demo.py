"""The demo: a simulated company, every DAG on it through the real Airflow, all on this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import date
from typing import Any

from pipelines.airflow_api import AirflowApi
from pipelines.errors import ConfigError, MillraceError
from pipelines.local import LocalStack, Ports, wait_until
from pipelines.measure import PeakMemory, Stopwatch
from pipelines.settings import Settings

Say = Callable[[str], None]

DAGS = {"churn_features", "churn_train", "churn_score", "churn_publish"}
TRAINED_ON = date(2025, 11, 3)  # first Monday of the month
SCORED_ON = (date(2025, 11, 17), date(2025, 11, 24), date(2025, 12, 1))
SIMULATED_UNTIL = date(2025, 12, 1)

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
        A DAG failed, or Salesforce does not hold exactly the accounts in scope.
    """
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
            _seed_accounts(settings, stack)
            stack.start_airflow()
            wait_until(lambda: stack.airflow.has_dags(DAGS), "Airflow to parse the DAGs", 120)
            for dag_id in sorted(DAGS):
                stack.airflow.unpause(dag_id)
        with watch.phase("DAGs"):
            _run_dags(stack.airflow, say)
        checks = _check(settings, stack)
    _summarise(settings, watch, memory.peak_mb, checks, say)


def serve(settings: Settings, *, say: Say) -> None:
    """Run the local deployment until interrupted."""
    ports = Ports()
    with LocalStack(settings, ports) as stack:
        say("starting Airflow, MLflow and the Salesforce emulator on loopback ...")
        stack.migrate_airflow()
        stack.start_emulator()
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
    folder = settings.var / "data" / "churn"
    if (folder / "accounts.parquet").exists():
        say(f"data: kept {folder}")
    else:
        say(f"data: simulating a company with {accounts:,} paying accounts over three years ...")
        size = ["--accounts", str(accounts), "--end", str(SIMULATED_UNTIL), "--to", str(folder)]
        _millrace(settings, "generate", "churn", *size)
    report = _millrace(settings, "ingest", "churn", "--from", str(folder))
    for table in report["tables"]:
        landed = table["landed"] + table["already_landed"]
        say(f"  {table['table']:<16} {landed:>10,} rows landed, {table['quarantined']:,} quarantined")


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
    """Train, then score and publish week by week; the scores asset triggers the publication."""

    def finish(dag_id: str, run_id: str, what: str) -> None:
        done = api.wait(dag_id, run_id, seconds=1200)
        say(f"  {dag_id:<16} {what}: {done.state} in {done.seconds:.0f} s")

    def run(dag_id: str, day: date) -> None:
        finish(dag_id, api.trigger(dag_id, str(day)), f"as_of {day}")

    say("DAGs, through Airflow's scheduler:")
    run("churn_train", TRAINED_ON)
    published: set[str] = set()
    for day in SCORED_ON:
        if day == SCORED_ON[-1]:
            run("churn_features", day)
        run("churn_score", day)
        while not (new := set(api.runs("churn_publish")) - published):
            time.sleep(0.5)
        published |= new
        finish("churn_publish", new.pop(), f"as_of {day}, triggered by the scores")


def _check(settings: Settings, stack: LocalStack) -> list[str]:
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


def _summarise(settings: Settings, watch: Stopwatch, peak_mb: float, checks: list[str], say: Say) -> None:
    from pipelines.io.lake import Lake
    from pipelines.io.promotions import read_promotions
    from pipelines.io.runs import STEP_RUNS

    lake = Lake.of(settings)
    by_step: dict[str, float] = {}
    for row in lake.read(STEP_RUNS, columns=["step", "seconds"]).to_pylist():
        by_step[row["step"]] = by_step.get(row["step"], 0.0) + row["seconds"]
    own = sum(by_step.values())
    say("\nWhere the time went (seconds):")
    for phase in ("install", "data", "start of services"):
        if phase in watch.seconds:
            say(f"  {phase:<26} {watch.seconds[phase]:6.1f}")
    for step, seconds in by_step.items():
        say(f"  {step:<26} {seconds:6.1f}")
    overhead = watch.seconds["DAGs"] - own
    say(f"  Airflow's own              {overhead:6.1f}  (scheduling, starting a process per task)")
    say(f"  {'in all':<26} {sum(watch.seconds.values()):6.1f}")
    say(f"Peak memory of all processes: {peak_mb / 1024:.1f} GB")
    say("\nChecked:")
    for check in checks:
        say(f"  {check}")
    verdict = read_promotions(lake, "churn")[-1]
    say(f"\nGate: {verdict.words}")
    say("\nLook at:")
    say(f"  {settings.report_dir / 'index.html'}   control room and churn page")
    say("  make up                          Airflow, MLflow and the emulator, with all of this in them")
