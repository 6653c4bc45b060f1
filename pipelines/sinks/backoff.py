"""Bounded exponential backoff with full jitter, for every sink."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """Waits between attempts: uniform in ``[0, min(cap, base * 2**attempt)]``.

    Full jitter spreads clients that failed together; a fixed wait would bring them back together.
    """

    #: Tries in total, the first included.
    attempts: int = 6
    #: Upper bound of the first wait, and of any wait, in seconds.
    base_s: float = 0.5
    cap_s: float = 30.0

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.base_s < 0 or self.cap_s < 0:
            raise ValueError(f"backoff needs attempts >= 1 and waits >= 0, got {self}")

    def bound(self, attempt: int) -> float:
        """Longest wait in seconds after attempt number ``attempt`` (0 is the first)."""
        return min(self.cap_s, self.base_s * 2.0 ** min(attempt, 30))

    def wait(self, attempt: int) -> None:
        """Sleep a random time after attempt number ``attempt``."""
        time.sleep(random.uniform(0.0, self.bound(attempt)))  # noqa: S311 - jitter, not a secret

    def tries(self) -> Iterator[int]:
        """Numbers of all attempts, with a wait before each but the first."""
        for attempt in range(self.attempts):
            if attempt:
                self.wait(attempt - 1)
            yield attempt
