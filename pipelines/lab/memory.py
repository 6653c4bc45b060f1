"""Memory meter for the demo and the benches."""

from __future__ import annotations

import threading

import psutil


class PeakMemory:
    """Largest memory of this process and all its descendants together, sampled every two seconds.

    Proportional set sizes where the system tells them, so that pages that forked workers share count
    once. Use as a context manager; ``peak_mb`` may be read at any time.
    """

    def __init__(self) -> None:
        self.peak_mb = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()
        self._sample()

    def _watch(self) -> None:
        while not self._stop.wait(2.0):
            self._sample()

    def _sample(self) -> None:
        own = psutil.Process()
        total = 0
        for process in [own, *own.children(recursive=True)]:
            try:
                memory = process.memory_full_info()
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue  # it ended between being listed and being asked
            total += getattr(memory, "pss", 0) or memory.rss
        self.peak_mb = max(self.peak_mb, total / 2**20)
