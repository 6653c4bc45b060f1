"""A limit on the CPU time that one series may take."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class FitTimeout(Exception):
    """Fitting a series took more CPU time than it may."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise :class:`FitTimeout` in the block after so many seconds of CPU.

    Seconds of the process, not of the clock: a busy machine must not change which model a series gets. By the
    profiling signal, so it acts between two steps of an optimiser, and only in the main thread of a
    process, which is where engines run models; elsewhere the optimisers' own limits hold alone. It is a
    guard, far above what a fit takes: a run that meets it is not repeatable.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(signum: int, frame: FrameType | None) -> None:
        raise FitTimeout(f"more than {seconds:g} s of CPU")

    before = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)
