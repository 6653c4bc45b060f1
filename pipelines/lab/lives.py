"""Lives: processes that are killed at named places and followed by the next one, as cheaply as a fork.

A driver process imports everything once and forks a life per order; a life ends by itself or is killed
(SIGKILL) right after it passed a place for the n-th time. A place is where something could be half
done: an answer from outside arrived, or a commit to the lake was made, and nothing else has happened
since. Killing by place, not by time, makes every run the same.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Self

#: Seconds after which a life is taken for hung; no life that works comes near it.
_HUNG_S = 3600


class Places:
    """Places that a life passes; it ends at one of them.

    Parameters
    ----------
    tell
        Called with every place.
    last, times
        Where the life ends, when passed for so many times; None if it ends by itself.
    """

    def __init__(self, tell: Callable[[str], None], last: str | None, times: int) -> None:
        self._tell = tell
        self._last = last
        self._times = times
        self._passed: Counter[str] = Counter()

    def watch(self, owner: type, method: str, name: Callable[[Any], str]) -> None:
        """Let the return of a method be a place, named by the method's first argument."""
        original = getattr(owner, method)

        @wraps(original)
        def watched(this: Any, subject: Any, *args: Any, **kwargs: Any) -> Any:
            result = original(this, subject, *args, **kwargs)
            self.passed(f"after {name(subject)}")
            return result

        setattr(owner, method, watched)

    def passed(self, place: str) -> None:
        """Note a place, and die if it is the last one."""
        self._tell(place)
        self._passed[place] += 1
        if place == self._last and self._passed[place] == self._times:
            os.kill(os.getpid(), signal.SIGKILL)


def serve(live: Callable[[dict[str, Any], Places], Mapping[str, Any]]) -> None:
    """Fork a life for every line of standard input; the main function of a driver.

    Nothing may have been done before that starts threads (a Polars frame, a Delta table).

    Parameters
    ----------
    live
        Does what an order says and returns what to tell about it.
    """
    for line in sys.stdin:
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            signal.alarm(_HUNG_S)
            with os.fdopen(writer, "w", buffering=1) as told:
                _live(live, json.loads(line), told.write)
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as told:
            words = told.read().splitlines()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        sys.stdout.write(json.dumps([status, *words]) + "\n")
        sys.stdout.flush()


def _live(
    live: Callable[[dict[str, Any], Places], Mapping[str, Any]],
    order: dict[str, Any],
    tell: Callable[[str], Any],
) -> None:
    places = Places(lambda place: tell(f"{place}\n"), order.pop("last", None), order.pop("times", 1))
    try:
        tell(json.dumps({"report": live(order, places)}) + "\n")
    except BaseException:  # noqa: BLE001 - whatever it is, the test has to hear of it
        tell(json.dumps({"error": traceback.format_exc()}) + "\n")


@dataclass(frozen=True)
class Life:
    """What became of a life.

    Attributes
    ----------
    killed
        Whether it was killed.
    places
        Places that it passed, in order; the last one is where it was killed.
    report
        What it told at its end; empty if it was killed or failed.
    error
        Traceback, if it failed.
    """

    killed: bool
    places: tuple[str, ...]
    report: dict[str, Any]
    error: str


class Lives:
    """Lives of a driver, one after the other; use as a context manager.

    Parameters
    ----------
    driver
        Script that calls :func:`serve`.
    environment
        Its environment.
    """

    def __init__(self, driver: Path, environment: Mapping[str, str]) -> None:
        # Polars warns of forks, which can deadlock a pool of threads that was used before.
        self._process = subprocess.Popen(  # noqa: S603 - a script of the tests
            [sys.executable, str(driver)],
            env={**environment, "POLARS_ALLOW_FORKING_THREAD": "1"},
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def live(self, order: Mapping[str, Any], *, last: str | None = None, times: int = 1) -> Life:
        """Run a life with an order, until it passed ``last`` for so many ``times``."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the driver has no pipes")
        self._process.stdin.write(json.dumps({**order, "last": last, "times": times}) + "\n")
        self._process.stdin.flush()
        status, *words = json.loads(self._process.stdout.readline())
        end = json.loads(words.pop()) if words and words[-1].startswith("{") else {}
        killed = status == -signal.SIGKILL
        error = "" if killed or "report" in end else end.get("error", f"ended with {status}")
        return Life(killed, tuple(words), end.get("report", {}), error)
