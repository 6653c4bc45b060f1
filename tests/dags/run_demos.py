"""Run the demos on small data through Airflow in this process; the last line printed is JSON.

Called by ``test_every_dag_runs.py`` in the environment of a local stack, with its ports as JSON.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import datetime, time
from pathlib import Path
from time import process_time

from inline_airflow import InlineAirflow

from pipelines.cli import command_line
from pipelines.io.lake import Lake
from pipelines.io.promotions import Outcome, read_promotions
from pipelines.lab.demo import Demo, demos, run_dag
from pipelines.lab.demo.demand import DEMO as DEMAND
from pipelines.lab.demo.demand import FORECAST_ON
from pipelines.lab.local import LocalStack, Ports
from pipelines.settings import Settings
from pipelines.sources.ingest import ingest


class Airflow(InlineAirflow):
    """Lets a model serve that the gate refused: so little data seldom convinces it, and what follows needs one."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(Path(settings.home) / "dags")
        self.lake = Lake.of(settings)

    def tick(self) -> None:
        """Go once through the scheduler's loop, and overrule the gate if it refused."""
        super().tick()
        for demo in demos():
            verdicts = read_promotions(self.lake, demo.usecase)
            if verdicts and verdicts[-1].outcome in (Outcome.REFUSED, Outcome.NOT_ENOUGH_EVIDENCE):
                version = verdicts[-1].model_version.rpartition("/")[2]
                command("promote", demo.usecase, version, "--why", "a rehearsal")


def main(ports: Ports) -> None:
    settings = Settings.load()
    stack = LocalStack(settings, ports)
    airflow = Airflow(settings)
    logging.disable(logging.CRITICAL)
    wanted = [demo.small for demo in demos()]
    for demo in wanted:
        if demo.what:
            land(demo, settings)
        demo.prepare(settings, stack)
    for demo in wanted:
        demo.run(airflow, say)
        if demo.usecase == DEMAND.usecase:
            last_night_on_spark(airflow)
    checks = {demo.usecase: demo.check(settings, stack) for demo in wanted}
    sys.stdout.write("\n" + json.dumps({"runs": airflow.all_runs(), "checks": checks}) + "\n")


def land(demo: Demo, settings: Settings) -> None:
    """Simulate by the command that a person would use, and land; the tests of ingest check its reports."""
    folder = settings.var / "data" / demo.usecase
    size = [text for name, value in demo.size.items() for text in (f"--{name}", str(value))]
    command("generate", demo.usecase, *size, "--end", str(demo.until), "--to", str(folder))
    landed_at = datetime.combine(demo.until, time(3))
    ingest(demo.usecase, folder, settings=settings, ingested_at=landed_at, quality_checks=False)
    say(f"{demo.usecase}: landed")


def command(*arguments: str) -> None:
    """Run a command of ours in this process."""
    command_line()(list(arguments), standalone_mode=False)


def last_night_on_spark(airflow: Airflow) -> None:
    """Run the last night of demand once more, its models of single series on Spark."""
    variable = f"MILLRACE_{DEMAND.usecase.upper()}_PARAMS"
    before = os.environ[variable]
    os.environ[variable] = json.dumps({**json.loads(before), "engine": "spark"})
    run_dag(airflow, say, "demand_forecast", FORECAST_ON[-1])
    os.environ[variable] = before


def say(words: str) -> None:
    """Tell how far it is, after how many seconds of CPU time."""
    sys.stderr.write(f"{process_time():7.1f} {words}\n")


if __name__ == "__main__":
    main(Ports(**json.loads(sys.argv[1])))
