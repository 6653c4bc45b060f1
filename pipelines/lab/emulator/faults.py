"""Faults to inject: what goes wrong, how often, decided by a seed and the order of events."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True)
class Faults:
    """Probabilities of what goes wrong.

    Attributes
    ----------
    seed
        Of every draw. The n-th request draws the n-th numbers, whatever the probabilities are.
    unavailable, server_error
        Answer 503 ``SERVER_UNAVAILABLE`` or 500 ``UNKNOWN_EXCEPTION`` instead of processing.
    request_limit
        Answer 403 ``REQUEST_LIMIT_EXCEEDED`` instead of processing.
    expire_session
        End the session before processing: answer 401 ``INVALID_SESSION_ID``.
    drop_before, drop_after
        Drop the connection before processing, or after it but before a byte of the answer is sent.
    truncate
        Process, promise the whole body, send half of it and drop the connection.
    slow, slow_seconds
        Wait before processing, and how long.
    session_requests
        Requests that a session lives for; None for ever.
    lock_row
        Per row of a job: fail with ``UNABLE_TO_LOCK_ROW``.
    fail_job
        Per job: end as ``Failed`` at a random row; the rows before it are committed.
    kinds
        Kinds of request (as in the audit's counts, such as ``bulk.upload``) that request faults hit;
        all if empty.
    at_most
        Number of request faults after which no more are injected; None for no bound.
    """

    seed: int = 0
    unavailable: float = 0.0
    server_error: float = 0.0
    request_limit: float = 0.0
    expire_session: float = 0.0
    drop_before: float = 0.0
    drop_after: float = 0.0
    truncate: float = 0.0
    slow: float = 0.0
    slow_seconds: float = 0.2
    session_requests: int | None = None
    lock_row: float = 0.0
    fail_job: float = 0.0
    kinds: tuple[str, ...] = ()
    at_most: int | None = None

    def __post_init__(self) -> None:
        for name in (*REQUEST_FAULTS, "slow", "lock_row", "fail_job"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be a probability in [0, 1], got {getattr(self, name)!r}")

    @classmethod
    def from_json(cls, body: dict[str, object]) -> Faults:
        """Faults from a JSON object.

        Raises
        ------
        ValueError
            A name is unknown or a probability is out of range.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(body) - known)
        if unknown:
            raise ValueError(f"faults must be among {sorted(known)}, got {unknown}")
        return cls(**{**body, "kinds": tuple(body.get("kinds") or ())})  # type: ignore[arg-type]

    @classmethod
    def parse(cls, text: str) -> Faults:
        """Faults from the text of a JSON object; :meth:`from_json` says what is refused."""
        body = json.loads(text)
        if not isinstance(body, dict):
            raise ValueError(f"faults must be a JSON object, got {text!r}")
        return cls.from_json(body)

    def to_json(self) -> dict[str, object]:
        """JSON object that :meth:`from_json` reads."""
        return asdict(self)


REQUEST_FAULTS = (
    "drop_before",
    "unavailable",
    "server_error",
    "request_limit",
    "expire_session",
    "drop_after",
    "truncate",
)


class Injector:
    """Draws the faults of requests and jobs and counts those it injected."""

    def __init__(self, faults: Faults) -> None:
        self._lock = threading.Lock()
        self.replace(faults)

    def replace(self, faults: Faults) -> None:
        """Replace the faults; the draws start anew from the new seed."""
        with self._lock:
            self.faults = faults
            self.injected: Counter[str] = Counter()
            self._random = random.Random(faults.seed)  # noqa: S311 - faults, not secrets

    def request(self, kind: str) -> tuple[str | None, float]:
        """Fault of the next request and the seconds to wait before it is processed."""
        with self._lock:
            faults = self.faults
            draws = {name: self._random.random() for name in (*REQUEST_FAULTS, "slow")}
            if faults.kinds and kind not in faults.kinds:
                return None, 0.0
            if faults.at_most is not None and self.injected.total() >= faults.at_most:
                return None, 0.0
            delay = faults.slow_seconds if draws["slow"] < faults.slow else 0.0
            fault = next((name for name in REQUEST_FAULTS if draws[name] < getattr(faults, name)), None)
            self.injected.update([name for name in (fault, "slow" if delay else None) if name])
            return fault, delay

    def job(self, number: int, rows: int) -> tuple[set[int], int | None]:
        """Rows of a job that meet a lock, and the row at which the job fails (None if it does not).

        Depends on the seed and the number of the job only, so a restart in the middle of a job draws
        the same.
        """
        faults = self.faults
        draw = random.Random(f"{faults.seed}/{number}")  # noqa: S311
        fails = draw.random() < faults.fail_job
        stop = draw.randrange(rows + 1) if fails else None
        locked = {row for row in range(rows) if draw.random() < faults.lock_row} if faults.lock_row else set()
        return locked, stop

    def count(self, name: str, times: int = 1) -> None:
        """Record faults that were injected elsewhere."""
        with self._lock:
            self.injected[name] += times
