"""The ``millrace`` command: every step of every use case by hand, and the laptop deployment.

Exit codes: 0 done; 1 unexpected failure; 2 configuration or arguments; 3 data broke its contract;
4 no model may serve; 5 rows could not be delivered; 6 the model registry failed.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table as RichTable

from pipelines.errors import ConfigError, MillraceError
from pipelines.settings import Settings
from pipelines.usecase import (
    DELIVERY,
    READERS_OF,
    SCORING,
    TRAINING,
    Step,
    UseCase,
    parse_as_of,
    run_step,
    steps_of,
)

if TYPE_CHECKING:
    from pipelines.sources.ingest import IngestReport

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Batch MLOps pipelines: dbt features, MLflow training and gates, scoring, publishing.\n\n"
    "Each step takes [bold]--as-of[/bold], the only clock: it computes what was knowable at the start of "
    "that day. Running a step again for the same day changes nothing.",
    epilog="Exit codes: 0 done, 1 unexpected, 2 configuration, 3 data contract, 4 no model may serve, 5 delivery, "
    "6 registry. Settings: environment variables MILLRACE_*; see docs/reference.md.",
)

out = Console()
notes = Console(stderr=True)

UseCaseArgument = Annotated[UseCase, typer.Argument(help="Use case.")]
AsOf = Annotated[str, typer.Option("--as-of", help="Day to compute for, YYYY-MM-DD.", metavar="DAY")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines.")]


class Source(StrEnum):
    """Where delivered files come from."""

    NATIVE = "native"
    RAVENSTACK = "ravenstack"
    ROSSMANN = "rossmann"
    M5 = "m5"
    LONG = "long"
    WIDE = "wide"
    CYLINDER_BANDS = "cylinder_bands"
    AFRICA = "africa"
    FREETRADE = "freetrade"
    BOSCH = "bosch"
    SECOM = "secom"
    ONLINE_RETAIL = "online_retail"
    CDNOW = "cdnow"
    INSTACART = "instacart"


def main() -> None:
    """Run the command; errors of ours become one line and an exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        app()
    except MillraceError as error:
        # Messages quote data and paths: brackets in them are no markup, and a line stays one line.
        name = f"[bold red]{type(error).__name__}[/bold red]"
        notes.print(name, escape(str(error)), highlight=False, soft_wrap=True)
        sys.exit(error.exit_code)


def _emit(record: Mapping[str, Any], as_json: bool, title: str) -> None:
    """Print a record as JSON or as a two-column table."""
    if as_json:
        typer.echo(json.dumps(record, default=str))
        return
    table = RichTable(title=title, show_header=False, title_justify="left")
    for key, value in record.items():
        shown = json.dumps(value, default=str) if isinstance(value, dict | list) else str(value)
        table.add_row(key, escape(shown))
    out.print(table)


def _run_steps(
    usecase: UseCase, steps: Sequence[tuple[Step, Mapping[str, Any]]], as_of: str, as_json: bool
) -> None:
    day, records = parse_as_of(as_of), {}
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=notes
    ) as progress:
        for step, options in steps:
            task = progress.add_task(f"{usecase} {step} {day}", total=1)
            records[str(step)] = run_step(usecase, step, day, **options)
            progress.update(task, completed=1)
    if as_json:
        typer.echo(json.dumps(records, default=str))
        return
    for step_name, record in records.items():
        _emit(record, as_json, f"{usecase} {step_name}")


# ------------------------------------------------------------------------------------- set-up, data


@app.command()
def doctor(as_json: Json = False) -> None:
    """Say what is missing on this machine and how to mend it."""
    from pipelines.doctor import checks

    found = checks(Settings.load())
    if as_json:
        typer.echo(json.dumps([vars(check) for check in found], default=str))
    else:
        table = RichTable("", "check", "found", "how to mend it")
        for check in found:
            mark = "[green]ok[/green]" if check.ok else "[red]no[/red]"
            table.add_row(mark, check.name, check.detail, "" if check.ok else check.mend)
        out.print(table)
    if not all(check.ok for check in found):
        raise typer.Exit(ConfigError.exit_code)


#: Sizes of a simulated company by use case; the defaults are what the pipelines are built for.
_SIZES: dict[UseCase, dict[str, int]] = {
    UseCase.CHURN: {"accounts": 15_000},
    UseCase.DEMAND: {"stores": 150, "skus": 8_000, "rows": 8_000_000},
    UseCase.IMPUTATION: {"parts": 20_000, "lines": 3, "stations": 6},
    UseCase.REPURCHASE: {"customers": 200_000},
}


@app.command()
def generate(
    usecase: UseCaseArgument,
    to: Annotated[Path | None, typer.Option(help="Folder to write; <var>/data/<usecase> if empty.")] = None,
    accounts: Annotated[
        int | None, typer.Option(help="churn: paying accounts on the last day (15000).", min=50)
    ] = None,
    stores: Annotated[int | None, typer.Option(help="demand: stores on the last day (150).", min=2)] = None,
    skus: Annotated[int | None, typer.Option(help="demand: products on the last day (8000).", min=10)] = None,
    rows: Annotated[
        int | None, typer.Option(help="demand: sales rows, met within some percent (8000000).", min=1)
    ] = None,
    parts: Annotated[
        int | None, typer.Option(help="imputation: parts made in 26 weeks (20000).", min=20)
    ] = None,
    lines: Annotated[
        int | None, typer.Option(help="imputation: production lines (3).", min=1, max=26)
    ] = None,
    stations: Annotated[
        int | None, typer.Option(help="imputation: stations of a line, of six sensors each (6).", min=1)
    ] = None,
    customers: Annotated[
        int | None, typer.Option(help="repurchase: customers of the shop (200000).", min=20)
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same company.")] = 0,
    end: Annotated[str, typer.Option(help="First day that is not delivered.", metavar="DAY")] = "2026-01-05",
    as_json: Json = False,
) -> None:
    """Simulate a company: years of source files, and the truth kept aside under truth/."""
    from importlib import import_module

    _check_has_data(usecase, "generate")
    given = {
        "accounts": accounts, "stores": stores, "skus": skus, "rows": rows, "parts": parts, "lines": lines,
        "stations": stations, "customers": customers,
    }  # fmt: skip
    sizes = dict(_SIZES[usecase])
    for name, value in given.items():
        if value is not None and name not in sizes:
            takes = ", ".join(f"--{size}" for size in sizes)
            raise ConfigError(f"generate {usecase} takes {takes}, got --{name}")
    sizes |= {name: value for name, value in given.items() if value is not None}
    folder = to or Settings.load().var / "data" / usecase
    simulation = import_module(f"pipelines.lab.simulation.{usecase}")
    with Progress(console=notes) as progress:
        task = progress.add_task(f"simulating for {usecase}", total=1.0)

        def tell(doing: str, share: float) -> None:
            progress.update(task, completed=share, description=doing)

        report = simulation.generate(**sizes, seed=seed, to=folder, end=parse_as_of(end), progress=tell)
    _emit({"folder": folder, **vars(report)}, as_json, "generated")


@app.command()
def ingest(
    usecase: UseCaseArgument,
    files: Annotated[Path | None, typer.Option("--from", help="Folder with the delivered files.")] = None,
    source: Annotated[Source, typer.Option(help="Layout of the files.")] = Source.NATIVE,
    as_json: Json = False,
) -> None:
    """Validate delivered files and land them; bad rows go to quarantine with the reason.

    Landing the same files again changes nothing. A missing column or unreadable file lands nothing.
    """
    from pipelines.sources.ingest import ingest as land

    _check_has_data(usecase, "ingest")
    settings = Settings.load()
    folder = files or settings.var / "data" / usecase
    # The one place where the wall clock belongs: when a row arrived is a fact of the arrival.
    with Progress(console=notes, transient=True) as progress:
        task = progress.add_task("landing", total=None)

        def tell(name: str, done: int, total: int) -> None:
            progress.update(task, description=name, completed=done, total=total)

        report = land(usecase, folder, source=source, settings=settings, ingested_at=_now(), progress=tell)
    _print_ingest(report, as_json)


def _check_has_data(usecase: UseCase, command: str) -> None:
    """Refuse use cases that read the tables of another."""
    if usecase in READERS_OF:
        source = READERS_OF[usecase]
        raise ConfigError(f"{usecase} reads the tables of {source}: run `millrace {command} {source}`")


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _print_ingest(report: IngestReport, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report.as_record(), default=str))
        return
    for title, rows in (("adapted", report.adapted), ("landed", report.tables)):
        if not rows:
            continue
        table = RichTable(
            "table", "read", title, "already there", "repeated", "quarantined", title_justify="left"
        )
        for row in rows:
            counts = (row.read, row.landed, row.already_landed, row.duplicates, row.quarantined)
            table.add_row(row.table, *(f"{count:,}" for count in counts))
        out.print(table)
        for row in rows:
            if row.forgotten:
                out.print(f"  {row.forgotten:>9,}  {row.table}: rows of people who were forgotten, refused")
    if report.reasons():
        out.print("Quarantined in ops/quarantine, because:")
    for table_name, reason, count in report.reasons():
        out.print(f"  {count:>9,}  {table_name}: {reason}", markup=False, highlight=False, soft_wrap=True)
    for note in report.notes:
        out.print(note, markup=False, highlight=False, soft_wrap=True)


# ------------------------------------------------------------------------------------------- steps


@app.command()
def train(usecase: UseCaseArgument, as_of: AsOf, as_json: Json = False) -> None:
    """Build the training snapshots, train and register a challenger, and let the gate judge it."""
    _run_steps(usecase, TRAINING, as_of, as_json)


@app.command()
def score(
    usecase: UseCaseArgument,
    as_of: AsOf,
    alias: Annotated[str, typer.Option(help="Model to use: champion or challenger.")] = "champion",
    as_json: Json = False,
) -> None:
    """Build the day's features, score the rows in scope and compare the day with the reference."""
    steps = [
        (step, {**options, "alias": alias} if step is Step.SCORE else options) for step, options in SCORING
    ]
    _run_steps(usecase, steps, as_of, as_json)


@app.command()
def publish(
    usecase: UseCaseArgument,
    as_of: AsOf,
    dry_run: Annotated[bool, typer.Option(help="Count and show five rows, send nothing.")] = False,
    force: Annotated[bool, typer.Option(help="Allow an older day or many leavers.")] = False,
    retry_dead: Annotated[bool, typer.Option(help="Send dead letters again, their cause mended.")] = False,
    as_json: Json = False,
) -> None:
    """Send the day's changed rows; run it again after a crash and it resumes."""
    options = {"dry_run": dry_run, "force": force, "retry_dead": retry_dead}
    _run_steps(usecase, [(Step.PUBLISH, options)], as_of, as_json)


@app.command()
def run(usecase: UseCaseArgument, as_of: AsOf, as_json: Json = False) -> None:
    """Run the chain of a day without Airflow: features, score, monitor, publish where there is a sink, report."""
    _run_steps(usecase, steps_of(usecase, (*SCORING, *DELIVERY)), as_of, as_json)


@app.command()
def monitor(usecase: UseCaseArgument, as_of: AsOf, as_json: Json = False) -> None:
    """Compare the day's scores with the reference and raise alarms."""
    _run_steps(usecase, [(Step.MONITOR, {})], as_of, as_json)


@app.command()
def report(usecase: UseCaseArgument, as_of: AsOf, as_json: Json = False) -> None:
    """Write the report pages of a use case and the index."""
    _run_steps(usecase, [(Step.REPORT, {})], as_of, as_json)


@app.command()
def explain(
    usecase: UseCaseArgument,
    key: Annotated[
        str | None,
        typer.Argument(help="churn, repurchase: account or customer id, or its pseudonym; imputation: part."),
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", help="Day; demand and clustering: the newest one if empty.", metavar="DAY"),
    ] = None,
    store: Annotated[str | None, typer.Option(help="demand, clustering: store.")] = None,
    sku: Annotated[str | None, typer.Option(help="demand: product.")] = None,
    as_json: Json = False,
) -> None:
    """Explain one result: why a score, a forecast, a group or a next order is as it is, or what was drawn for a part."""
    settings = Settings.load()
    if usecase is UseCase.CLUSTERING:
        _explain_store(settings, store, as_of, as_json)
    elif usecase is UseCase.DEMAND:
        _explain_series(settings, store, sku, as_of, as_json)
    else:
        if not key or not as_of:
            raise ConfigError(f"explain {usecase} needs an id and --as-of")
        from importlib import import_module

        explained = import_module(f"pipelines.usecases.{usecase}.explain")
        _emit(explained.run(parse_as_of(as_of), key, settings=settings), as_json, f"{usecase} {key}")


def _explain_series(
    settings: Settings, store: str | None, sku: str | None, as_of: str | None, as_json: bool
) -> None:
    if not store or not sku:
        raise ConfigError("explain demand needs --store and --sku")
    from pipelines.usecases.demand.explain import newest_day
    from pipelines.usecases.demand.explain import run as explain_series
    from pipelines.usecases.demand.explain_text import as_text

    day = parse_as_of(as_of) if as_of else newest_day(settings)
    record = explain_series(day, store, sku, settings=settings)
    typer.echo(json.dumps(record, default=str) if as_json else as_text(record))


def _explain_store(settings: Settings, store: str | None, as_of: str | None, as_json: bool) -> None:
    if not store:
        raise ConfigError("explain clustering needs --store")
    from pipelines.usecases.clustering.explain import as_text, newest_day
    from pipelines.usecases.clustering.explain import run as explain_group

    day = parse_as_of(as_of) if as_of else newest_day(settings)
    record = explain_group(day, store, settings=settings)
    typer.echo(json.dumps(record, default=str) if as_json else as_text(record))


# ------------------------------------------------------------------------------------------ models


@app.command()
def promote(
    usecase: UseCaseArgument,
    version: Annotated[str, typer.Argument(help="Version number in the registry.")],
    why: Annotated[str, typer.Option(help="Reason for the promotion log.")],
    as_json: Json = False,
) -> None:
    """Let a version serve against the gate's verdict; who and why go to the promotion log."""
    from pipelines.io.serving import promote as promote_version

    record = promote_version(Settings.load(), usecase, version, why=why, at=_now())
    _emit(record, as_json, "promoted")


@app.command()
def rollback(
    usecase: UseCaseArgument,
    why: Annotated[str, typer.Option(help="Reason for the log.")],
    published: Annotated[
        bool, typer.Option(help="Roll back what readers of DynamoDB see (demand, repurchase), not the model.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Let the previous champion serve again; with --published, what was served before."""
    settings = Settings.load()
    if not published:
        from pipelines.io.serving import rollback as roll_back

        _emit(roll_back(settings, usecase, why=why, at=_now()), as_json, "rolled back")
        return
    if usecase is UseCase.CHURN:
        raise ConfigError(
            f"--published is for what DynamoDB serves in versions (demand, repurchase); got {usecase}"
        )
    from importlib import import_module

    serve_earlier = import_module(f"pipelines.usecases.{usecase}.publish").rollback
    _emit(serve_earlier(settings, why=why, on=_now().date()), as_json, "rolled back")


@app.command()
def vacuum(
    retain_days: Annotated[
        int, typer.Option(help="Keep files that versions of these days need.", min=1)
    ] = 30,
    as_json: Json = False,
) -> None:
    """Remove old files of all lake tables; runs that pin older versions can no longer be repeated."""
    from pipelines.io.lake import Lake

    lake = Lake.of(Settings.load())
    removed = {name: len(lake.vacuum(name, retain_days=retain_days)) for name in lake.tables()}
    _emit(removed, as_json, "files removed")


@app.command()
def forget(
    customer: Annotated[
        str, typer.Option(help="Id of the customer or account in the source systems.", metavar="ID")
    ],
    dry_run: Annotated[bool, typer.Option(help="Count what there is, change nothing.")] = False,
    force: Annotated[bool, typer.Option(help="Let ingests refuse the id even if nothing is found.")] = False,
    as_json: Json = False,
) -> None:
    """Remove a person from every store of every use case, for good; old versions of the lake's tables go too.

    Salesforce, DynamoDB, delivered files under <var>/data, lake, logs and report pages; ingests refuse the person from
    then on. Prints a proof without personal data (ops/erasures). Broken off, run it again: it resumes.
    """
    from pipelines.privacy.forget import forget as forget_person

    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=notes, transient=True
    ) as progress:
        task = progress.add_task("looking", total=None)
        record = forget_person(
            customer,
            settings=Settings.load(),
            at=_now(),
            dry_run=dry_run,
            force=force,
            tell=lambda name: progress.update(task, description=name),
        )
    _emit(record, as_json, "would be forgotten" if dry_run else "forgotten")


# ------------------------------------------------------------------------------- benches, local use


@app.command()
def bench(
    name: Annotated[
        str, typer.Argument(help="Its name: `churn`, `demand`, `repurchase`, ...; a wrong one lists all.")
    ],
    data: Annotated[
        Path | None, typer.Option(help="Folder of the public data set, for benches on one.")
    ] = None,
    accounts: Annotated[
        int | None, typer.Option(help="Size of the simulated company (churn).", min=50)
    ] = None,
    rows: Annotated[
        int | None,
        typer.Option(help="Sales rows of the chain (demand); rows of the table (gower, impute).", min=100),
    ] = None,
    cols: Annotated[int | None, typer.Option(help="Columns of the table (gower, impute).", min=1)] = None,
    m: Annotated[int | None, typer.Option("--m", help="Completed data sets (impute).", min=2)] = None,
    stores: Annotated[int | None, typer.Option(help="Stores of the chain (demand).", min=2)] = None,
    skus: Annotated[int | None, typer.Option(help="Products of the chain (demand).", min=10)] = None,
    customers: Annotated[
        int | None, typer.Option(help="Customers of the simulated shop (repurchase).", min=500)
    ] = None,
    leaves: Annotated[int | None, typer.Option(help="Bottom series (reconcile).", min=100)] = None,
    horizon: Annotated[int | None, typer.Option(help="Days ahead (reconcile).", min=1)] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the simulation.")] = None,
    as_json: Json = False,
) -> None:
    """Measure speed and accuracy; the last line printed is one JSON object."""
    from pipelines.lab.bench import run_bench

    options = {
        "data": data, "accounts": accounts, "rows": rows, "stores": stores, "skus": skus, "leaves": leaves,
        "horizon": horizon, "cols": cols, "m": m, "customers": customers, "seed": seed,
    }  # fmt: skip
    result = run_bench(name, options, say=lambda line: notes.print(line, highlight=False))
    if as_json:
        typer.echo(result.to_json())
        return
    _emit({**result.metrics, "seconds": result.seconds, "peak_rss_mb": result.peak_rss_mb}, False, name)
    if result.peers:
        _emit(result.peers, False, "peers")


@app.command()
def demo(
    accounts: Annotated[int, typer.Option(help="Size of the simulated company.", min=500)] = 15_000,
    keep: Annotated[
        bool, typer.Option(help="Keep the files of an earlier demo instead of starting anew.")
    ] = False,
) -> None:
    """Simulate companies and run every DAG on them, offline: real Airflow, dbt and MLflow; emulated CRM, DynamoDB's twin."""
    from pipelines.lab.demo.run import run_demo

    run_demo(Settings.load(), accounts=accounts, keep=keep, say=lambda line: out.print(line, highlight=False))


@app.command()
def up() -> None:
    """Run Airflow, MLflow, the Salesforce emulator and DynamoDB's twin on loopback until Ctrl-C."""
    from pipelines.lab.demo.run import serve

    serve(Settings.load(), say=lambda line: out.print(line, highlight=False))


_PASS_THROUGH = {"allow_extra_args": True, "ignore_unknown_options": True}


@app.command(context_settings=_PASS_THROUGH)
def dbt(context: typer.Context) -> None:
    """Run a dbt command on this project, e.g. 'millrace dbt parse'."""
    from pipelines.io.dbt import call_dbt

    raise typer.Exit(call_dbt(Settings.load(), context.args))


@app.command(context_settings=_PASS_THROUGH)
def airflow(context: typer.Context) -> None:
    """Run an airflow command in this project's environment, e.g. 'millrace airflow dags list'."""
    import os

    from pipelines.lab.local import airflow_environment

    os.execvpe("airflow", ["airflow", *context.args], airflow_environment(Settings.load()))  # noqa: S606, S607


if __name__ == "__main__":
    main()
