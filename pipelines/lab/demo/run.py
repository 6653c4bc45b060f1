"""The demo: simulated companies, every DAG on them through the real Airflow, all on this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from pipelines.errors import ConfigError, MillraceError
from pipelines.lab.airflow_api import AirflowApi
from pipelines.lab.demo import Demo, Say, demos
from pipelines.lab.local import LocalStack, Ports, wait_until
from pipelines.lab.memory import PeakMemory
from pipelines.measure import Stopwatch
from pipelines.settings import Settings

#: Written into a demo's folder, so that only a demo's own files are ever removed.
MARKER = ".millrace-demo"
INSTALL_SECONDS = "MILLRACE_DEMO_INSTALL_SECONDS"

DOCS = "dbt's documentation"


def run_demo(settings: Settings, *, accounts: int, keep: bool, say: Say) -> None:
    """Generate, ingest, train, score, publish and report through Airflow, then check the result.

    Raises
    ------
    ConfigError
        The folder holds data that no demo made.
    MillraceError
        A DAG failed, or a system of the users does not hold exactly what the lake says.
    """
    wanted = demos()
    dags = {dag_id for demo in wanted for dag_id in demo.dags}
    for demo in wanted:
        if demo.overrides:
            os.environ.setdefault(f"MILLRACE_{demo.usecase.upper()}_PARAMS", json.dumps(dict(demo.overrides)))
    _claim_folder(settings, keep)
    watch, ports = Stopwatch(), Ports.free()
    if os.environ.get(INSTALL_SECONDS):
        watch.seconds["install"] = float(os.environ[INSTALL_SECONDS])
    with PeakMemory() as memory, LocalStack(settings, ports) as stack:
        migration = threading.Thread(target=stack.migrate_airflow)
        migration.start()  # Airflow makes its tables while the company is simulated
        with watch.phase("data"):
            _make_data(settings, wanted, {"churn": {"accounts": accounts}}, say)
        with watch.phase("start of services"):
            migration.join()
            stack.start_emulator()
            stack.start_dynamodb()
            for demo in wanted:
                demo.prepare(settings, stack)
            stack.start_airflow()
            wait_until(lambda: stack.airflow.has_dags(dags), "Airflow to parse the DAGs", 120)
            for dag_id in sorted(dags):
                stack.airflow.unpause(dag_id)
        with watch.phase(DOCS):  # before the pages that link to it
            stack.millrace("docs")
        with watch.phase("DAGs"):
            _run_dags(stack.airflow, wanted, say)
        checks = [line for demo in wanted for line in demo.check(settings, stack)]
    _summarise(settings, wanted, watch, memory.peak_mb, checks, say)


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


def _make_data(
    settings: Settings, wanted: Sequence[Demo], sizes: Mapping[str, Mapping[str, int]], say: Say
) -> None:
    """Simulate and land by the commands that a person would use; their memory goes when they end."""
    with ThreadPoolExecutor() as pool:
        made = [
            pool.submit(_generate_and_land, settings, demo, {**demo.size, **sizes.get(demo.usecase, {})}, say)
            for demo in wanted
            if demo.what
        ]
    for report in made:
        for table in report.result()["tables"]:
            landed = table["landed"] + table["already_landed"]
            say(f"  {table['table']:<18} {landed:>10,} rows landed, {table['quarantined']:,} quarantined")


def _generate_and_land(settings: Settings, demo: Demo, size: Mapping[str, int], say: Say) -> Any:
    folder = settings.var / "data" / demo.usecase
    if folder.exists():
        say(f"data: kept {folder}")
    else:
        listed = ", ".join(f"{value:,} {name}" for name, value in size.items())
        say(f"data: simulating {demo.what} ({listed}) ...")
        options = [text for name, value in size.items() for text in (f"--{name}", str(value))]
        end = str(demo.until)
        _millrace(settings, "generate", demo.usecase, *options, "--end", end, "--to", str(folder))
    return _millrace(settings, "ingest", demo.usecase, "--from", str(folder))


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


def _run_dags(api: AirflowApi, wanted: Sequence[Demo], say: Say) -> None:
    """Run the use cases side by side, as a scheduler would: their DAGs share nothing but the pools.

    One that reads the results of another waits for it.
    """
    say("DAGs, through Airflow's scheduler:")
    with ThreadPoolExecutor(max_workers=len(wanted)) as pool:
        runs: dict[str, Future[None]] = {}

        def after_the_others(demo: Demo) -> None:
            for other in demo.after:
                runs[other].result()
            demo.run(api, say)

        for demo in wanted:
            runs[demo.usecase] = pool.submit(after_the_others, demo)
        for done in runs.values():
            done.result()


def _summarise(
    settings: Settings,
    wanted: Sequence[Demo],
    watch: Stopwatch,
    peak_mb: float,
    checks: Sequence[str],
    say: Say,
) -> None:
    from pipelines.io.lake import Lake
    from pipelines.io.promotions import read_promotions
    from pipelines.io.runs import STEP_RUNS

    lake = Lake.of(settings)
    by_step: dict[str, float] = {}
    for row in lake.read(STEP_RUNS, columns=["usecase", "step", "seconds"]).to_pylist():
        name = f"{row['usecase']} {row['step']}"
        by_step[name] = by_step.get(name, 0.0) + row["seconds"]
    say("\nWhere the time went (seconds):")
    for phase in ("install", "data", "start of services", DOCS):
        if phase in watch.seconds:
            say(f"  {phase:<26} {watch.seconds[phase]:6.1f}")
    for step, seconds in by_step.items():
        say(f"  {step:<26} {seconds:6.1f}")
    say(f"  {'all DAGs, wall time':<26} {watch.seconds['DAGs']:6.1f}  (use cases side by side)")
    say(f"  {'in all':<26} {sum(watch.seconds.values()):6.1f}")
    say(f"Peak memory of all processes: {peak_mb / 1024:.1f} GB")
    say("\nChecked:")
    for check in checks:
        say(f"  {check}")
    for demo in wanted:
        say(f"\nGate of {demo.usecase}: {read_promotions(lake, demo.usecase)[-1].words}")
    say("\nLook at:")
    say(f"  {settings.report_dir / 'index.html'}   control room and a page for each use case;")
    say("                                   the retail chain ends in June: its tables are late in December")
    say("  make up                          Airflow, MLflow and the emulator, with all of this in them")
