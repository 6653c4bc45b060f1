"""A token bucket: keeps writers below the capacity that a table has."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class TokenBucket:
    """Lets a fixed number of units pass per second, from any number of threads.

    A request may be larger than what is left: it passes and the next ones wait for the debt, so no
    request can starve, however large.

    Parameters
    ----------
    rate
        Units per second.
    burst
        Units that may pass at once after a pause; one second's worth by default.
    clock, sleep
        Time, for tests.
    """

    def __init__(
        self,
        rate: float,
        *,
        burst: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if rate <= 0:
            raise ValueError(f"rate must be > 0 units per second, got {rate}")
        self._rate = rate
        self._burst = rate if burst is None else burst
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._level = self._burst
        self._at = clock()

    def take(self, units: float) -> float:
        """Take units, waiting until they are there; returns the seconds waited."""
        with self._lock:
            now = self._clock()
            self._level = min(self._burst, self._level + (now - self._at) * self._rate)
            self._at = now
            wait = max(0.0, -self._level / self._rate)
            self._level -= units
        if wait:
            self._sleep(wait)
        return wait
