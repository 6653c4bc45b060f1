"""Commands of the laboratory: simulated data, benches, and the deployment on a laptop."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress
from typer.core import TyperCommand

from pipelines.console import emit, notes, out
from pipelines.lab.bench import benches
from pipelines.lab.lazy import Found, command, group, option
from pipelines.lab.simulation import simulations
from pipelines.settings import Settings


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(
        typer.Typer(),
        name="generate",
        cls=group("what is simulated", _simulations),
        no_args_is_help=True,
        subcommand_metavar="USECASE [OPTIONS]",
        help="Simulate a company: years of source files, and the truth kept aside under truth/.",
    )
    app.add_typer(
        typer.Typer(),
        name="bench",
        cls=group("bench", _benches),
        no_args_is_help=True,
        subcommand_metavar="NAME [OPTIONS]",
        help="Measure speed and accuracy; the last line printed is one JSON object.",
    )
    app.command()(demo)
    app.command()(up)
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(airflow)


# ------------------------------------------------------------------------------------- simulations


def _simulations() -> dict[str, Found]:
    return {name: Found(file, partial(_simulation, name)) for name, file in simulations().items()}


def _simulation(usecase: str) -> TyperCommand:
    generate = import_module(f"pipelines.lab.simulation.{usecase}").generate

    def run(given: Mapping[str, object], as_json: bool) -> None:
        folder = given["to"] or Settings.load().var / "data" / usecase
        with Progress(console=notes) as progress:
            task = progress.add_task(f"simulating for {usecase}", total=1.0)

            def tell(doing: str, share: float) -> None:
                progress.update(task, completed=share, description=doing)

            report = generate(**{**given, "to": folder}, progress=tell)
        emit({"folder": folder, **vars(report)}, as_json, "generated")

    to = option("to", Path | None, None, "Folder to write; <var>/data/<usecase> if empty.")
    return command(f"generate {usecase}", generate, run, leave_out={"to", "progress"}, also=[to])


# ------------------------------------------------------------------------------------------ benches


def _benches() -> dict[str, Found]:
    return {name: Found(file, partial(_bench, name)) for name, file in benches().items()}


def _bench(name: str) -> TyperCommand:
    measure = import_module(f"pipelines.lab.bench.{name.replace('-', '_')}").run

    def run(given: Mapping[str, object], as_json: bool) -> None:
        result = measure(**given, say=lambda line: notes.print(line, highlight=False))
        if as_json:
            typer.echo(result.to_json())
            return
        emit({**result.metrics, "seconds": result.seconds, "peak_rss_mb": result.peak_rss_mb}, False, name)
        if result.peers:
            emit(result.peers, False, "peers")

    return command(f"bench {name}", measure, run, leave_out={"say"})


# ------------------------------------------------------------------------------------- local deployment


def demo(
    accounts: Annotated[int, typer.Option(help="Size of the simulated company.", min=500)] = 15_000,
    keep: Annotated[
        bool, typer.Option(help="Keep the files of an earlier demo instead of starting anew.")
    ] = False,
) -> None:
    """Simulate companies and run every DAG on them, offline: real Airflow, dbt and MLflow; emulated CRM, DynamoDB's twin."""
    from pipelines.lab.demo.run import run_demo

    run_demo(Settings.load(), accounts=accounts, keep=keep, say=lambda line: out.print(line, highlight=False))


def up() -> None:
    """Run Airflow, MLflow, the Salesforce emulator and DynamoDB's twin on loopback until Ctrl-C."""
    from pipelines.lab.demo.run import serve

    serve(Settings.load(), say=lambda line: out.print(line, highlight=False))


def airflow(context: typer.Context) -> None:
    """Run an airflow command in this project's environment, e.g. 'millrace airflow dags list'."""
    from pipelines.lab.local import airflow_environment

    os.execvpe("airflow", ["airflow", *context.args], airflow_environment(Settings.load()))  # noqa: S606, S607
