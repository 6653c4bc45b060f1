"""The demo: a simulated company, every DAG on it through the real Airflow, all on this machine."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable
from datetime import UTC, date, datetime

from pipelines.airflow_api import AirflowApi
from pipelines.errors import ConfigError
from pipelines.local import LocalStack, Ports, wait_until
from pipelines.measure import PeakMemory, Stopwatch
from pipelines.settings import Settings

Say = Callable[[str], None]

DAGS = {"churn_features", "churn_train", "churn_score", "churn_publish"}
TRAINED_ON = date(2025, 12, 1)  # first Monday of the month
SCORED_ON = (date(2025, 12, 22), date(2025, 12, 29), date(2026, 1, 5))
SIMULATED_UNTIL = date(2026, 1, 5)

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
        migration.join()
        with watch.phase("start services"):
            stack.start_emulator()
            _seed_accounts(settings, stack)
            stack.start_airflow()
            api = AirflowApi(f"http://127.0.0.1:{ports.airflow}")
            wait_until(lambda: api.has_dags(DAGS), "Airflow to parse the DAGs", 120)
            for dag_id in sorted(DAGS):
                api.unpause(dag_id)
        with watch.phase("DAGs"):
            _run_dags(api, say)
        result = _check(settings, stack)
    _print_summary(settings, watch, memory.peak_mb, result, say)


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
    var, marker = settings.var, settings.var / MARKER
    made_by_runs = [
        var / name
        for name in ("lake", "data", "mlflow", "airflow", "emulator", "report", "runs", "logs", "gx")
    ]
    present = [path for path in made_by_runs if path.exists()]
    if (var / "lake").exists() and not marker.exists():
        raise ConfigError(
            f"{var} holds data that no demo made and the demo would replace it: "
            "set MILLRACE_VAR to another folder"
        )
    if not keep:
        for path in present:
            shutil.rmtree(path)
    var.mkdir(parents=True, exist_ok=True)
    marker.write_text("Made by `millrace demo`, which may remove the folders beside this file.\n")


def _make_data(settings: Settings, accounts: int, say: Say) -> None:
    from pipelines.sources.ingest import ingest
    from pipelines.sources.simulation.churn import generate

    folder = settings.var / "data" / "churn"
    if (folder / "accounts.parquet").exists():
        say(f"data: kept {folder}")
    else:
        say(f"data: simulating a company with {accounts:,} paying accounts over three years ...")
        generate(accounts, 0, folder, end=SIMULATED_UNTIL)
    now = datetime.now(UTC).replace(tzinfo=None)
    report = ingest("churn", folder, source="native", settings=settings, ingested_at=now)
    for table in report.tables:
        say(
            f"  {table.table:<16} {table.landed + table.already_landed:>10,} rows landed, "
            f"{table.quarantined:,} quarantined"
        )


def _seed_accounts(settings: Settings, stack: LocalStack) -> None:
    """Give the emulated org the company's accounts, as a real org would have them."""
    from pipelines.io.lake import Lake

    accounts = Lake.of(settings).read("raw/churn_accounts", columns=["account_id", "account_name"])
    unique = accounts.group_by("account_id").aggregate([("account_name", "max")]).sort_by("account_id")
    stack.seed_accounts(unique["account_id"].to_pylist(), unique["account_name_max"].to_pylist())


def _run_dags(api: AirflowApi, say: Say) -> None:
    def run(dag_id: str, as_of: date) -> None:
        say(f"  {dag_id} as_of={as_of} ...")
        done = api.wait(dag_id, api.trigger(dag_id, str(as_of)), seconds=1200)
        say(f"  {dag_id} as_of={as_of}: {done.state} in {done.seconds:.0f} s")

    run("churn_train", TRAINED_ON)
    for day in SCORED_ON:
        before = set(api.runs("churn_publish"))
        if day == SCORED_ON[-1]:
            run("churn_features", day)
        run("churn_score", day)
        wait_until(
            lambda: set(api.runs("churn_publish")) - before, "the scores asset to trigger churn_publish", 60
        )
        (publish,) = set(api.runs("churn_publish")) - before
        done = api.wait("churn_publish", publish, seconds=600)
        say(f"  churn_publish (triggered by the scores of {day}): {done.state} in {done.seconds:.0f} s")
