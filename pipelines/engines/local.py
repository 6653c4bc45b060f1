"""Groups in processes of this machine, as many as its cores and memory allow."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import weakref
from collections import deque
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Any

import pandas as pd

from pipelines.engines.base import (
    ONE_THREAD,
    Engine,
    EngineError,
    GroupFunction,
    GroupsLost,
    Progress,
    groups_of,
    joined,
)
from pipelines.engines.resources import WORKER_MB, worker_count

#: In place of a group's number.
IDLE = -1

#: Times a group is tried before it is given up, if its process dies each time.
ATTEMPTS = 3


@dataclass
class Worker:
    """A worker process and the group that it works on."""

    process: subprocess.Popen[bytes]
    connection: Connection
    group: int = IDLE

    @classmethod
    def start(cls, folder: str) -> Worker:
        """Start a process whose temporary files go below ``folder``."""
        ours, theirs = Pipe()
        command = [sys.executable, "-m", "pipelines.engines.worker", str(theirs.fileno())]
        environment = {**os.environ, **ONE_THREAD, "TMPDIR": folder}
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        process = subprocess.Popen(  # noqa: S603 - our own module
            command,
            env=environment,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
        )
        theirs.close()
        ours.send(list(sys.path))
        return cls(process, ours)

    def kill(self) -> None:
        """End the process and its children at once."""
        self.connection.close()
        if self.process.returncode is not None:
            return  # its end was taken note of: its number may be another's by now
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: dead already
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@dataclass
class LocalEngine(Engine):
    """Worker processes that are reused between calls and end with the engine.

    Each works on one group at a time with one thread; the next group is sent when it answers. A worker
    that dies is replaced and its group tried again, so that a group that is too large for the memory left, or
    that crashes a library, can be named.
    """

    #: Most processes; None for as many as cores. Free memory bounds them in any case.
    workers: int | None = None
    #: Memory that one process may need.
    worker_mb: float = WORKER_MB
    name: str = "local"
    _alive: list[Worker] = field(default_factory=list, init=False, repr=False)
    _folder: Any = field(default=None, init=False, repr=False)
    _finalizer: Any = field(default=None, init=False, repr=False)

    def map_groups(
        self, function: GroupFunction, frame: pd.DataFrame, *, key: str, progress: Progress | None = None
    ) -> pd.DataFrame:
        """See :meth:`pipelines.engines.base.Engine.map_groups`."""
        groups = groups_of(frame, key)
        results: list[pd.DataFrame | None] = [None] * len(groups)
        attempts = [0] * len(groups)
        waiting = deque(range(len(groups)))
        lost: list[int] = []
        done = 0
        try:
            self._grow(
                worker_count(len(groups), most=self.workers, worker_mb=self.worker_mb) if groups else 0
            )
            while done < len(groups):
                for worker in self._alive:
                    if worker.group == IDLE and waiting:
                        worker.group = waiting.popleft()
                        # If it died, that is seen when its answer is waited for.
                        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                            worker.connection.send((function, groups[worker.group][1]))
                for worker in self._ready():
                    group, worker.group = worker.group, IDLE
                    try:
                        finished, answer = worker.connection.recv()
                    except (EOFError, OSError):  # the process died
                        worker.kill()
                        self._alive[self._alive.index(worker)] = Worker.start(self._folder.name)
                        attempts[group] += 1
                        if attempts[group] < ATTEMPTS:
                            waiting.append(group)
                            continue
                        lost.append(group)
                    else:
                        if not finished:
                            raise EngineError(f"group {groups[group][0]!r} failed:\n{answer}")
                        results[group] = answer
                    done += 1
                    if progress is not None:
                        progress(done, len(groups))
        except BaseException:
            self.close()  # workers in the middle of a group are of no further use
            raise
        rest = joined([part for part in results if part is not None], function(frame.iloc[:0]))
        if lost:
            names = sorted(groups[group][0] for group in lost)
            raise GroupsLost(
                f"the worker process died {ATTEMPTS} times on each of {len(names)} groups: "
                f"{', '.join(names[:5])}. Either memory is short (fewer workers, smaller groups) or a "
                f"library crashes on them",
                names,
                rest,
            )
        return rest

    def close(self) -> None:
        """End all workers."""
        if self._finalizer is not None:
            self._finalizer()
            self._finalizer = None
        self._alive.clear()
        self._folder = None

    def _grow(self, count: int) -> None:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="millrace-workers-", ignore_cleanup_errors=True)
            self._finalizer = weakref.finalize(self, _end, self._alive, self._folder)
        while len(self._alive) < count:
            self._alive.append(Worker.start(self._folder.name))

    def _ready(self) -> list[Worker]:
        """Busy workers that answered or died."""
        busy = {worker.connection: worker for worker in self._alive if worker.group != IDLE}
        return [busy[connection] for connection in wait(list(busy)) if isinstance(connection, Connection)]


def _end(workers: list[Worker], folder: tempfile.TemporaryDirectory[str]) -> None:
    for worker in workers:
        worker.kill()
    folder.cleanup()
