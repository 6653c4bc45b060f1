"""The ``millrace`` command: every step of every use case by hand.

Exit codes: 0 done; 1 unexpected failure; 2 configuration or arguments; 3 data broke its contract;
4 no model may serve; 5 rows could not be delivered; 6 the model registry failed.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table as RichTable

from pipelines.console import AsOf, Json, UseCaseArgument, emit, notes, out
from pipelines.discovery import find
from pipelines.errors import ConfigError, MillraceError
from pipelines.extension import extensions
from pipelines.settings import Settings
from pipelines.steps import DELIVERY, SCORING, TRAINING, Options, Step, parse_as_of, run_step

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


@cache
def command_line() -> typer.Typer:
    """Return the commands of the product and of the installed extensions."""
    for extension in extensions():
        extension.commands(app)
    return app


def main() -> None:
    """Run the command; errors of ours become one line and an exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        command_line()()
    except MillraceError as error:
        # Messages quote data and paths: brackets in them are no markup, and a line stays one line.
        name = f"[bold red]{type(error).__name__}[/bold red]"
        notes.print(name, escape(str(error)), highlight=False, soft_wrap=True)
        sys.exit(error.exit_code)


def _spinner(*, transient: bool = False) -> Progress:
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    return Progress(*columns, console=notes, transient=transient)


def _run_steps(usecase: str, steps: Sequence[tuple[Step, Options]], as_of: str, as_json: bool) -> None:
    day, records = parse_as_of(as_of), {}
    with _spinner() as progress:
        for step, options in steps:
            task = progress.add_task(f"{usecase} {step} {day}", total=1)
            records[str(step)] = run_step(usecase, step, day, options=options)
            progress.update(task, completed=1)
    if as_json:
        typer.echo(json.dumps(records, default=str))
        return
    for step_name, record in records.items():
        emit(record, as_json, f"{usecase} {step_name}")


# ------------------------------------------------------------------------------------- set-up, data


@app.command()
def doctor(as_json: Json = False) -> None:
    """Say what is missing on this machine and how to fix it."""
    from pipelines.doctor import checks

    found = checks(Settings.load())
    if as_json:
        typer.echo(json.dumps([vars(check) for check in found], default=str))
    else:
        table = RichTable("", "check", "found", "how to fix it")
        for check in found:
            mark = "[green]ok[/green]" if check.ok else "[red]no[/red]"
            table.add_row(mark, check.name, check.detail, "" if check.ok else check.fix)
        out.print(table)
    if not all(check.ok for check in found):
        raise typer.Exit(ConfigError.exit_code)


@app.command()
def ingest(
    usecase: UseCaseArgument,
    files: Annotated[Path | None, typer.Option("--from", help="Folder with the delivered files.")] = None,
    source: Annotated[
        str, typer.Option(help="Layout of the files; a wrong one lists those there are.")
    ] = "native",
    as_json: Json = False,
) -> None:
    """Validate delivered files and land them; bad rows go to quarantine with the reason.

    Landing the same files again changes nothing. A missing column or unreadable file lands nothing.
    """
    from pipelines.sources.ingest import ingest as land

    settings = Settings.load()
    folder = files or settings.var / "data" / usecase
    # The one place where the wall clock belongs: when a row arrived is a fact of the arrival.
    with Progress(console=notes, transient=True) as progress:
        task = progress.add_task("landing", total=None)

        def tell(name: str, done: int, total: int) -> None:
            progress.update(task, description=name, completed=done, total=total)

        report = land(usecase, folder, source=source, settings=settings, ingested_at=_now(), progress=tell)
    _print_ingest(report, as_json)


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _print_ingest(report: IngestReport, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(report), default=str))
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
        (step, replace(options, alias=alias) if step is Step.SCORE else options) for step, options in SCORING
    ]
    _run_steps(usecase, steps, as_of, as_json)


@app.command()
def publish(
    usecase: UseCaseArgument,
    as_of: AsOf,
    dry_run: Annotated[bool, typer.Option(help="Count and show five rows, send nothing.")] = False,
    force: Annotated[bool, typer.Option(help="Allow an older day or many leavers.")] = False,
    retry_dead: Annotated[
        bool, typer.Option(help="Send dead letters again, once their cause is fixed.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Send the day's changed rows; run it again after a crash and it resumes."""
    options = Options(dry_run=dry_run, force=force, retry_dead=retry_dead)
    _run_steps(usecase, [(Step.PUBLISH, options)], as_of, as_json)


@app.command()
def run(usecase: UseCaseArgument, as_of: AsOf, as_json: Json = False) -> None:
    """Run the chain of a day without Airflow: features, score, monitor, publish where there is a sink, report."""
    publishes = bool(find(usecase).targets)
    steps = [each for each in (*SCORING, *DELIVERY) if publishes or each[0] is not Step.PUBLISH]
    _run_steps(usecase, steps, as_of, as_json)


@app.command()
def monitor(usecase: UseCaseArgument, as_of: AsOf, as_json: Json = False) -> None:
    """Compare the day's scores with the reference and raise alarms."""
    _run_steps(usecase, [(Step.MONITOR, Options())], as_of, as_json)


@app.command()
def report(usecase: UseCaseArgument, as_of: AsOf, as_json: Json = False) -> None:
    """Write the report page of a use case, and the control room of all."""
    _run_steps(usecase, [(Step.REPORT, Options())], as_of, as_json)


@app.command()
def docs(as_json: Json = False) -> None:
    """Write dbt's documentation into the report site: every feature with its meaning, unit and lineage."""
    from pipelines.io.dbt import write_docs

    settings = Settings.load()
    emit({"page": write_docs(settings, settings.report_dir / "dbt_docs")}, as_json, "written")


@app.command()
def explain(
    usecase: UseCaseArgument,
    keys: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY...",
            help="What names the result, such as the id of a customer; without it you are told.",
        ),
    ] = None,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="Day; the newest one if empty.", metavar="DAY")
    ] = None,
    as_json: Json = False,
) -> None:
    """Explain one result: why it is as it is, and what it rests on."""
    from pipelines.steps import explain as explanation

    declared, day = find(usecase), parse_as_of(as_of) if as_of else None
    record = explanation.run(declared, keys or [], as_of=day)
    typer.echo(
        json.dumps(record, default=str) if as_json else explanation.explanation_of(declared).text(record)
    )


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
    emit(record, as_json, "promoted")


@app.command()
def rollback(
    usecase: UseCaseArgument,
    why: Annotated[str, typer.Option(help="Reason for the log.")],
    published: Annotated[
        bool, typer.Option(help="Roll back what readers of DynamoDB see, not the model.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Let the previous champion serve again; with --published, what was served before."""
    settings = Settings.load()
    if not published:
        from pipelines.io.serving import rollback as roll_back

        emit(roll_back(settings, usecase, why=why, at=_now()), as_json, "rolled back")
        return
    from pipelines.steps.publish import roll_back as serve_earlier

    record = serve_earlier(find(usecase), settings, why=why, on=_now().date())
    emit(record, as_json, "rolled back")


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
    emit(removed, as_json, "files removed")


@app.command()
def forget(
    customer: Annotated[
        str, typer.Option(help="Id of the customer or account in the source systems.", metavar="ID")
    ],
    dry_run: Annotated[bool, typer.Option(help="Count what there is, change nothing.")] = False,
    force: Annotated[
        bool, typer.Option(help="Go on even if nothing is found of this id: ingests refuse it from then on.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Remove a person from every store of every use case, for good; old versions of the lake's tables go too.

    Salesforce, DynamoDB, delivered files under <var>/data, lake, logs and report pages; ingests refuse the person from
    then on. Prints a proof without personal data (ops/erasures). Broken off, run it again: it resumes.
    """
    from pipelines.privacy.forget import forget as forget_person

    with _spinner(transient=True) as progress:
        task = progress.add_task("looking", total=None)
        record = forget_person(
            customer,
            settings=Settings.load(),
            at=_now(),
            dry_run=dry_run,
            force=force,
            tell=lambda name: progress.update(task, description=name),
        )
    emit(record, as_json, "would be forgotten" if dry_run else "forgotten")


_PASS_THROUGH = {"allow_extra_args": True, "ignore_unknown_options": True}


@app.command(context_settings=_PASS_THROUGH)
def dbt(context: typer.Context) -> None:
    """Run a dbt command on this project, e.g. 'millrace dbt parse'."""
    from pipelines.io.dbt import call_dbt

    raise typer.Exit(call_dbt(Settings.load(), context.args))


if __name__ == "__main__":
    main()
