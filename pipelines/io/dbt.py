"""Runs of dbt: one subprocess over a scratch DuckDB whose sources are views on pinned Delta files.

Every run has a folder of its own under ``<var>/runs``, so two runs never share a database, a target
folder or a log. Models read ``raw.*`` and the like as views over the Parquet files that made up the
pinned versions, the days to compute from ``run.as_of_dates`` and numbers that the use case's parameters set
from ``run.parameters``.
"""

from __future__ import annotations

import json
import logging
import os
import shlex
import shutil
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from features.schemas import Table
from features.sql import listed, literal, quoted
from pipelines.errors import ConfigError, DataContractError
from pipelines.io.hashing import code_fingerprint
from pipelines.io.lake import Lake
from pipelines.settings import Settings

log = logging.getLogger(__name__)

DATABASE = "millrace.duckdb"
PARSE_CACHE = "partial_parse.msgpack"

#: Rows handed over at once when marts are read as a stream.
BATCH_ROWS = 100_000

_FAILED = ("error", "fail", "runtime error")


@dataclass(frozen=True)
class NodeResult:
    """What became of one model, test or seed."""

    name: str
    status: str
    seconds: float
    message: str


@dataclass(frozen=True)
class DbtRun:
    """A finished run, whose marts can be read until :meth:`discard`."""

    #: ``<var>/runs/<run_id>``: database, ``target/``, ``logs/``.
    folder: Path
    #: Version of every lake table the run read.
    versions: Mapping[str, int]
    #: Outcome per node, in order of completion.
    nodes: tuple[NodeResult, ...]
    #: Wall time of the dbt process.
    seconds: float

    @property
    def database(self) -> Path:
        """Scratch database of the run."""
        return self.folder / DATABASE

    def read(self, query: str) -> pa.Table:
        """Run a query over the run's models and return the whole result."""
        with self._connect() as con:
            return con.sql(query).to_arrow_table()

    def stream(self, query: str) -> pa.RecordBatchReader:
        """Run a query over the run's models and return batches; the reader keeps the database open."""
        con = self._connect()
        schema = con.sql(query).limit(0).to_arrow_table().schema
        reader = con.sql(query).to_arrow_reader(BATCH_ROWS)

        def batches() -> Any:
            with con:
                yield from reader

        return pa.RecordBatchReader.from_batches(schema, batches())

    def _connect(self) -> duckdb.DuckDBPyConnection:
        """Open the database with the bounds that dbt had: what is sorted beyond them goes to disk."""
        return duckdb.connect(
            str(self.database),
            read_only=True,
            config={
                "memory_limit": os.environ.get("MILLRACE_DBT_MEMORY_LIMIT", "2GB"),
                "threads": os.environ.get("MILLRACE_DBT_DUCKDB_THREADS", "2"),
            },
        )

    def discard(self) -> None:
        """Remove the large files; the log and the timings stay."""
        self.database.unlink(missing_ok=True)
        for leftover in (self.folder / "target").glob("*"):
            if leftover.name != "run_results.json":
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()


def run_dbt(
    settings: Settings,
    *,
    run_id: str,
    select: Sequence[str],
    tables: Sequence[Table],
    as_of_dates: Sequence[date],
    label_dates: Sequence[date] = (),
    parameters: Mapping[str, float] | None = None,
    pins: Mapping[str, int] | None = None,
    may_be_absent: Collection[str] = (),
    unit_tests: bool = False,
) -> DbtRun:
    """Build and test a selection of models for the given days, in a folder called ``run_id``, which must be new.

    ``select`` are dbt selectors, for instance ``["+ml_shop_features"]``; only they are built. ``tables`` are
    the lake tables that they read: ``raw/shop_orders`` becomes ``raw.shop_orders``, in the version of ``pins``
    or the newest, and empty if it is one that ``may_be_absent`` and the lake has none.

    All of ``as_of_dates`` are computed in one pass; labels use only what was known before the newest of them,
    and of ``label_dates`` only labels are wanted. ``parameters`` are numbers that models read from
    ``run.parameters``: data and not dbt vars, whose change would cost a full parse. ``unit_tests`` also runs
    dbt's unit tests, which guard the SQL against its authors, not a run's data.

    Raises ``ConfigError`` if a pinned table is not read, and ``DataContractError`` if a table or version is
    missing, or a model or test failed; the message names the nodes, the log and the command that repeats the
    run by hand. The previous contents of the lake are untouched.
    """
    if not as_of_dates:
        raise ConfigError("as_of_dates must hold at least one day, got none")
    folder = settings.var / "runs" / run_id
    folder.mkdir(parents=True)
    spine = [(day, max(as_of_dates), day in as_of_dates) for day in sorted({*as_of_dates, *label_dates})]
    versions = _fill(
        folder / DATABASE,
        Lake.of(settings),
        tables,
        spine=spine,
        parameters=parameters or {},
        pins=pins or {},
        may_be_absent=may_be_absent,
    )
    command = [
        *("build", "--select", *select, "--threads", "2"),
        # Only tests whose models are all in the selection: the others' tables do not exist here.
        *("--indirect-selection", "cautious"),
    ]
    if not unit_tests:
        command += ["--exclude-resource-type", "unit_test"]
    started = time.monotonic()
    done = _dbt(settings, command, folder)
    seconds = time.monotonic() - started
    nodes = _results(folder / "target" / "run_results.json")
    if done.returncode:
        raise DataContractError(_failure(settings, folder, command, nodes, done.stdout))
    log.info("dbt built %d nodes in %.1f s (%s)", len(nodes), seconds, folder)
    return DbtRun(folder, versions, nodes, seconds)


def call_dbt(settings: Settings, arguments: Sequence[str], folder: Path | None = None) -> int:
    """Run any dbt command on the project, its output to the terminal; returns the exit code.

    Without a ``folder`` (of an earlier run), the database is an empty one in ``<var>/dbt``.
    """
    folder = folder or settings.var / "dbt"
    folder.mkdir(parents=True, exist_ok=True)
    return _dbt(settings, arguments, folder, capture=False).returncode


def project_hash(project: Path) -> str:
    """Short hash of every file of the dbt project that can change a result."""
    return code_fingerprint(project, ["."])


def write_docs(settings: Settings, to: Path) -> Path:
    """Write dbt's documentation site (models, columns, lineage) as one page that needs no server.

    Returns its path, ``<to>/index.html``. A page of the same project is kept. Raises ``ConfigError`` if the project
    does not parse.
    """
    page, stamp = to / "index.html", to / "project_hash"
    made_from = project_hash(settings.dbt_project)
    if page.exists() and stamp.exists() and stamp.read_text() == made_from:
        return page
    with tempfile.TemporaryDirectory(prefix="millrace-dbt-docs-") as name:
        folder = Path(name)
        done = _dbt(settings, ["docs", "generate", "--static", "--empty-catalog"], folder)
        if done.returncode:
            raise ConfigError(f"dbt docs were not written: {_tail(done.stdout)}")
        to.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "target" / "static_index.html", page)
    stamp.write_text(made_from)
    return page


def _fill(
    database: Path,
    lake: Lake,
    tables: Sequence[Table],
    *,
    spine: Sequence[tuple[date, date, bool]],
    parameters: Mapping[str, float],
    pins: Mapping[str, int],
    may_be_absent: Collection[str],
) -> dict[str, int]:
    """Create the sources of a run in a new database; returns the version read of each table that there is.

    Takes what :func:`run_dbt` does; rows of the ``spine``, ``run.as_of_dates``, are day, last day of the knowledge of
    labels, and whether features are wanted.
    """
    unknown = sorted(set(pins) - {table.name for table in tables})
    if unknown:
        raise ConfigError(f"pins must name tables that are read, got {unknown}")
    absent = {name for name in may_be_absent if name not in pins and not lake.exists(name)}
    present = [table for table in tables if table.name not in absent]
    versions = {table.name: pins.get(table.name, lake.version(table.name)) for table in present}
    with duckdb.connect(str(database)) as con:
        for table in tables:
            schema, _, name = table.name.partition("/")
            files = lake.files(table.name, versions[table.name]) if table.name in versions else []
            con.execute(f"create schema if not exists {quoted(schema)}")
            con.execute(f"create view {quoted(schema)}.{quoted(name)} as {_scan(table, files)}")
        con.execute("create schema run")
        con.execute("create table run.as_of_dates (as_of date, known_before date, wants_features boolean)")
        con.executemany("insert into run.as_of_dates values (?, ?, ?)", spine)
        con.execute("create table run.parameters (name varchar, value double)")
        for item in parameters.items():
            con.execute("insert into run.parameters values (?, ?)", item)
    return versions


def _scan(table: Table, files: Sequence[str]) -> str:
    """Query over files; partition columns are read from the folder names."""
    if not files:
        nothing = ", ".join(f"cast(null as {c.dtype.sql}) as {quoted(c.name)}" for c in table.columns)
        return f"select {nothing} where false"
    paths = ", ".join(literal(file) for file in files)
    options = ""
    if table.partition_by:
        types = ", ".join(f"{literal(n)}: {table.column(n).dtype.sql}" for n in table.partition_by)
        options = f", hive_partitioning = true, hive_types = {{{types}}}"
    return f"select {listed(table.column_names)} from read_parquet([{paths}]{options})"


def _dbt(
    settings: Settings, arguments: Sequence[str], folder: Path, *, capture: bool = True
) -> subprocess.CompletedProcess[str]:
    """One dbt process in the run's folder, with the parse of the last run as a start."""
    cache = settings.var / "dbt_cache" / PARSE_CACHE
    target = folder / "target"
    environment = {
        **os.environ,
        "DO_NOT_TRACK": "1",
        "DBT_PROJECT_DIR": str(settings.dbt_project),
        "DBT_PROFILES_DIR": str(settings.dbt_project),
        "DBT_TARGET_PATH": str(target),
        "DBT_LOG_PATH": str(folder / "logs"),
        "DBT_VERSION_CHECK": "false",
        "DBT_USE_COLORS": "false",
    }
    if cache.exists():
        environment["DBT_PARTIAL_PARSE_FILE_PATH"] = str(cache)
    done = subprocess.run(  # noqa: S603 - our own environment, arguments as a list
        [_executable(), *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE if capture else None,
        stderr=subprocess.STDOUT if capture else None,
        text=True,
        check=False,
    )
    _keep_parse(target / PARSE_CACHE, cache)
    return done


def _executable() -> str:
    return str(Path(sysconfig.get_path("scripts")) / "dbt")


def _keep_parse(parsed: Path, cache: Path) -> None:
    """Leave the parse for the next run; the rename is atomic, so readers see the old one or the new."""
    if not parsed.exists():
        return
    cache.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=cache.parent, prefix=PARSE_CACHE, delete=False) as aside:
        aside.write(parsed.read_bytes())
    Path(aside.name).replace(cache)


def _results(path: Path) -> tuple[NodeResult, ...]:
    if not path.exists():  # dbt stopped before it ran anything
        return ()
    return tuple(
        NodeResult(result["unique_id"], result["status"], result["execution_time"], result["message"] or "")
        for result in json.loads(path.read_text())["results"]
    )


def _failure(
    settings: Settings, folder: Path, command: Sequence[str], nodes: Sequence[NodeResult], output: str
) -> str:
    failed = [node for node in nodes if node.status in _FAILED]
    said = "; ".join(f"{node.name}: {' '.join(node.message.split())}" for node in failed[:5]) or _tail(output)
    more = f"; and {len(failed) - 5} more" if len(failed) > 5 else ""
    project = str(settings.dbt_project)
    repeat = [_executable(), *command, "--project-dir", project, "--profiles-dir", project]
    by_hand = f"cd {shlex.quote(str(folder))} && {shlex.join([*repeat, '--target-path', 'target'])}"
    count = f"{len(failed)} of {len(nodes)} nodes" if failed else "before any node ran"
    return (
        f"dbt build failed ({count}), nothing was published. {said}{more}. "
        f"Log: {folder / 'logs' / 'dbt.log'}. Repeat by hand: {by_hand}"
    )


def _tail(output: str, lines: int = 12) -> str:
    return " ".join(output.strip().splitlines()[-lines:])
