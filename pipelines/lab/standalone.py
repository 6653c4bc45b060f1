"""A Spark cluster on this machine: a master and workers as processes on loopback."""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import psutil

from pipelines.engines.base import EngineError
from pipelines.engines.java import java_home, spark_environment, spark_home

#: Most seconds until master and workers know each other.
START_SECONDS = 60.0


@dataclass
class StandaloneCluster:
    """Real Spark, real network, no installation; for trying the engine out and for its test.

    Use as a context manager. Ports are given by the system.

    Parameters
    ----------
    folder
        Logs and the workers' files.
    workers, worker_cores, worker_memory
        Workers and what each offers to Spark.
    bundled_java
        Use the Java of the environment even if the system has one.

    Attributes
    ----------
    url
        ``spark://`` address of the master.
    """

    folder: Path
    workers: int = 2
    worker_cores: int = 1
    worker_memory: str = "1g"
    bundled_java: bool = False
    url: str = ""
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict, init=False)

    def __enter__(self) -> Self:
        self.folder = self.folder.resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        atexit.register(self.stop)
        try:
            self._start("master", "org.apache.spark.deploy.master.Master", "--port", "0", "--webui-port", "0")
            self.url = self._wait_for("master", r"Starting Spark master at (spark://\S+)")
            for number in range(self.workers):
                self._start(
                    f"worker-{number}",
                    "org.apache.spark.deploy.worker.Worker",
                    *("--port", "0", "--webui-port", "0"),
                    *("--cores", str(self.worker_cores), "--memory", self.worker_memory),
                    *("--work-dir", str(self.folder / f"work-{number}"), self.url),
                )
            for number in range(self.workers):
                self._wait_for(f"worker-{number}", r"(Successfully registered with master)")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def kill_worker(self, number: int) -> None:
        """End a worker and its executors at once, as when its machine fails."""
        self._kill(f"worker-{number}")

    def has_executor(self, number: int) -> bool:
        """Whether the worker runs a part of an application now."""
        return self._running(f"worker-{number}") and bool(
            psutil.Process(self._processes[f"worker-{number}"].pid).children()
        )

    def stop(self) -> None:
        """End all processes; nothing happens a second time."""
        for name in reversed(list(self._processes)):
            self._kill(name)
        self._processes.clear()
        atexit.unregister(self.stop)

    def _start(self, name: str, java_class: str, *arguments: str) -> None:
        java = java_home(self.folder / "java", bundled=self.bundled_java)
        temporary = self.folder / "tmp"
        temporary.mkdir(exist_ok=True)
        environment = spark_environment(java, temporary=temporary)
        with (self.folder / f"{name}.log").open("w") as log:
            self._processes[name] = subprocess.Popen(  # noqa: S603 - Spark's own script
                [
                    spark_home(loopback=True) / "bin" / "spark-class",
                    java_class,
                    "--host",
                    "127.0.0.1",
                    *arguments,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment | {"SPARK_DAEMON_MEMORY": "256m"},
                start_new_session=True,
                cwd=self.folder,
            )

    def _wait_for(self, name: str, pattern: str) -> str:
        log = self.folder / f"{name}.log"
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self._running(name):
            if found := re.search(pattern, log.read_text(errors="replace")):
                return found[1]
            time.sleep(0.1)
        raise EngineError(f"Spark's {name} did not start:\n{log.read_text(errors='replace')[-3000:]}")

    def _running(self, name: str) -> bool:
        return self._processes[name].poll() is None

    def _kill(self, name: str) -> None:
        process = self._processes[name]
        if process.returncode is not None:
            return  # its end was taken note of: its number may be another's by now
        children: list[psutil.Process] = []
        with contextlib.suppress(psutil.Error):
            children = psutil.Process(process.pid).children(recursive=True)
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: dead already
            os.killpg(process.pid, signal.SIGKILL)
        for child in children:  # Python's processes have groups of their own
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        process.wait()
        psutil.wait_procs(children, timeout=10)
