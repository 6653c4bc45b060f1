"""Groups on Spark: a table is written as Parquet, a submitted job processes it, and its results are read."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from pipelines.engines.base import (
    GROUP,
    ONE_THREAD,
    PLACE,
    PROGRESS,
    Engine,
    EngineError,
    GroupFunction,
    Progress,
    joined,
)
from pipelines.engines.java import java_home, spark_environment, spark_home

#: What is submitted.
JOB = Path(__file__).with_name("spark_job.py")

#: Lines at the end of Spark's log that an error quotes.
LOG_LINES = 60


@dataclass
class SparkEngine(Engine):
    """Submits a job per call; nothing stays behind between calls, in memory or on disk."""

    #: Folder, or ``s3://`` address, that driver and executors see, for tables on their way.
    exchange: str
    #: Folder of this machine for Spark's own files and logs.
    scratch: Path
    #: Spark's master: ``local[2]``, ``spark://host:port``, ``yarn``.
    master: str = "local[*]"
    #: Further settings of Spark.
    conf: Mapping[str, str] = field(default_factory=dict)
    #: Use the Java of the environment even if the system has one.
    bundled_java: bool = False
    name: str = "spark"

    def map_groups(
        self, function: GroupFunction, frame: pd.DataFrame, *, key: str, progress: Progress | None = None
    ) -> pd.DataFrame:
        """See :meth:`pipelines.engines.base.Engine.map_groups`.

        ``function`` must be importable on the executors. Spark tries a lost group again by itself, on
        another executor; one that fails four times ends the job.
        """
        empty = function(frame.iloc[:0])
        groups = int(frame[key].nunique())
        if not groups:
            return empty
        system, folder = fs.FileSystem.from_uri(_uri(self.exchange))
        folder = f"{folder}/groups-{uuid.uuid4().hex}"
        root = f"{self.exchange.rstrip('/')}/{folder.rsplit('/', 1)[1]}"
        system.create_dir(folder)
        try:
            placed = frame.assign(**{PLACE: range(len(frame))})
            packed = pa.Table.from_pandas(placed, preserve_index=False).replace_schema_metadata(None)
            pq.write_table(packed, f"{folder}/packed.parquet", filesystem=system, row_group_size=1000)
            arguments = [
                *("--source", f"{root}/packed.parquet", "--target", f"{root}/results"),
                *("--function", f"{function.__module__}:{function.__qualname__}"),
                *("--key", key, "--groups", str(groups)),
            ]
            self._submit(arguments, groups, progress)
            found = pq.read_table(f"{folder}/results", filesystem=system).to_pandas()
        finally:
            with contextlib.suppress(FileNotFoundError):
                system.delete_dir(folder)
        ordered = found.sort_values([GROUP, PLACE], ignore_index=True)
        done = int(ordered[GROUP].nunique())
        if progress is not None:
            progress(groups, groups)
        if done > groups:
            raise EngineError(f"results must be of {groups} groups, got {done}")
        return joined([ordered.drop(columns=[GROUP, PLACE])], empty)

    def _submit(self, arguments: list[str], groups: int, progress: Progress | None) -> None:
        scratch = self.scratch.resolve()
        scratch.mkdir(parents=True, exist_ok=True)
        loopback = self.master.startswith(("local", "spark://127.0.0.1"))
        java = java_home(scratch / "java", bundled=self.bundled_java)
        command = [str(spark_home(loopback=loopback) / "bin" / "spark-submit"), "--master", self.master]
        for name, value in {**_settings(loopback), **self.conf}.items():
            command += ["--conf", f"{name}={value}"]
        command += [str(JOB), *arguments]
        log = scratch / f"submit-{uuid.uuid4().hex}.log"
        with tempfile.TemporaryDirectory(dir=scratch, ignore_cleanup_errors=True) as folder:
            environment = spark_environment(java, temporary=Path(folder) if loopback else None)
            with log.open("a") as lines, _group(command, lines, environment, folder) as job:
                for line in job.stdout or ():
                    if not line.startswith(PROGRESS):
                        lines.write(line)  # Python's own errors come this way
                        lines.flush()
                    elif progress is not None:
                        progress(int(line.removeprefix(PROGRESS)), groups)
        code = job.returncode
        if code:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:])
            raise EngineError(f"the Spark job ended with code {code}; the end of {log}:\n{tail}")
        log.unlink()


@contextlib.contextmanager
def _group(
    command: list[str], errors: Any, environment: dict[str, str], folder: str
) -> Iterator[subprocess.Popen[str]]:
    """Run a command in its own process group, which does not outlive the block."""
    process = subprocess.Popen(  # noqa: S603 - our own command
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        env=environment,
        cwd=folder,
        start_new_session=True,
    )
    try:
        yield process
        # Without taking its end: until then its number, which is its group's, is not given to another.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: all dead already
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout:
            process.stdout.close()


def _settings(loopback: bool) -> dict[str, str]:
    settings = {
        "spark.submit.deployMode": "client",
        "spark.ui.showConsoleProgress": "false",
        **{f"spark.executorEnv.{name}": value for name, value in ONE_THREAD.items()},
    }
    if loopback:
        settings |= {
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.ui.enabled": "false",
        }
    return settings


def _uri(place: str) -> str:
    return place if "://" in place else Path(place).resolve().as_uri()
