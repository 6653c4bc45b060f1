"""Putting items: batches of 25 from a few threads, until every item is confirmed or known to be refused.

``BatchWriteItem`` is not atomic: it may take some items of a batch and hand the others back, or be
cut off after it took all. Putting an item twice is the same item, so whatever is not confirmed is put
again, later and by full jitter.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import polars as pl

from pipelines.errors import SinkError
from pipelines.sinks.dynamodb.connection import Connection, PassingError
from pipelines.sinks.dynamodb.target import PARTITION_KEY, DynamoTarget, LoadOptions
from pipelines.sinks.errors import RemoteError

#: Limits of the service.
MAX_BATCH_ITEMS, MAX_BATCH_BYTES = 25, 16 * 1024 * 1024
#: A write unit pays for so many bytes of an item, begun ones too.
WRITE_UNIT_BYTES = 1024

#: Code of an item that the service kept handing back.
UNPROCESSED = "UNPROCESSED"
_INVALID = "ValidationException"


class _Put(NamedTuple):
    external_id: str
    line: str
    units: int


class _Refusal(NamedTuple):
    external_id: str
    code: str
    message: str


@dataclass
class Usage:
    """What a loader used so far."""

    #: Batches sent, and how many of them because the one before was not done.
    requests: int = 0
    repeats: int = 0
    #: Write units by the size of the items, repeats included; what the rate limit counts.
    estimated_units: float = 0.0
    #: Write units by the service's own account.
    reported_units: float = 0.0


class Loader:
    """Puts items into a table; use as a context manager."""

    def __init__(self, connection: Connection, target: DynamoTarget, options: LoadOptions) -> None:
        self._connection = connection
        self._target = target
        self._options = options
        self._bucket = TokenBucket(options.max_write_units)
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(options.threads, thread_name_prefix="dynamodb")
        self.usage = Usage()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._threads.shutdown(cancel_futures=True)

    def load(self, items: pl.DataFrame) -> pl.DataFrame:
        """Put the items of :meth:`pipelines.sinks.dynamodb.outbound.Outbound.items`; wait until the fate of each is known.

        Returns ``external_id``, ``code``, ``message`` of the items that are not in the table; the others are.
        Raises ``SinkUnavailableError`` if the service stayed away: some items may be in the table. Raises
        ``SinkError`` if it refused for a reason that applies to all items.
        """
        units = -(-items["bytes"] // WRITE_UNIT_BYTES)
        puts = [_Put(*row) for row in zip(items["external_id"], items["line"], units, strict=True)]
        work = [self._threads.submit(self._work, batch) for batch in batches(puts)]
        wait(work, return_when=FIRST_EXCEPTION)
        if self._failure is not None:
            raise self._failure
        refusals = [refusal for each in work for refusal in each.result()]
        return pl.DataFrame(refusals, schema=dict.fromkeys(_Refusal._fields, pl.String), orient="row")

    # ---------------------------------------------------------------- one batch, in a thread

    def _work(self, batch: Sequence[_Put]) -> list[_Refusal]:
        """Put a batch; its failure ends the other threads with their present request."""
        try:
            return self._put(batch)
        except BaseException as error:
            with self._lock:
                self._failure = self._failure or error
            self._stop.set()
            raise

    def _put(self, batch: Sequence[_Put]) -> list[_Refusal]:
        left, attempt, last = list(batch), 0, ""
        while not self._stop.is_set():
            try:
                unprocessed = self._unprocessed(self._send(left, repeated=bool(attempt)), left)
            except PassingError as error:
                last = str(error)
                absent = True
            except RemoteError as error:
                if error.code != _INVALID:
                    raise
                return self._isolate(left, error)
            else:
                if not unprocessed:
                    return []
                if len(unprocessed) < len(left):
                    attempt = 0  # progress
                left, absent = unprocessed, False
            attempt += 1
            if attempt >= self._options.http.attempts:
                if absent:
                    raise self._connection.unavailable(attempt, last)
                text = f"handed back as unprocessed {attempt} times in a row"
                return [_Refusal(put.external_id, UNPROCESSED, text) for put in left]
            self._options.http.wait(attempt - 1)
        raise SinkError("stopped, because another batch failed")

    def _send(self, puts: Sequence[_Put], *, repeated: bool) -> dict[str, Any]:
        units = sum(put.units for put in puts)
        self._bucket.take(units)
        with self._lock:
            self.usage.requests += 1
            self.usage.repeats += repeated
            self.usage.estimated_units += units
        answer = self._connection.put_batch(self._target.table, [put.line for put in puts])
        reported = sum(entry.get("CapacityUnits", 0.0) for entry in answer.get("ConsumedCapacity", ()))
        with self._lock:
            self.usage.reported_units += reported
        return answer

    def _unprocessed(self, answer: dict[str, Any], sent: Sequence[_Put]) -> list[_Put]:
        """Items that the service hands back; the counts would not balance if one of them was never sent."""
        requests = answer.get("UnprocessedItems", {}).get(self._target.table, [])
        back = {request["PutRequest"]["Item"][PARTITION_KEY]["S"] for request in requests}
        left = [put for put in sent if self._target.partition_key(put.external_id) in back]
        if len(left) != len(back) or len(back) != len(requests):
            raise SinkError(
                f"DynamoDB handed {len(requests)} items back of a batch of {len(sent)}, of which "
                f"{len(left)} are in the batch: what became of this batch is unknown; run the publish again"
            )
        return left

    def _isolate(self, puts: Sequence[_Put], error: RemoteError) -> list[_Refusal]:
        """Find the items for which a whole batch was refused, by halves."""
        if len(puts) == 1:
            return [_Refusal(puts[0].external_id, error.code, str(error))]
        half = len(puts) // 2
        return self._put(puts[:half]) + self._put(puts[half:])


class TokenBucket:
    """Lets ``rate`` units pass per second, from any number of threads, and ``burst`` at once after a pause.

    A request may be larger than what is left: it passes and the next ones wait for the debt, so no request can
    starve, however large. ``burst`` is one second's worth by default; tests bring a ``clock`` and a ``sleep``
    of their own.
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


def batches(puts: Sequence[_Put]) -> list[Sequence[_Put]]:
    """Cut items into batches within the service's limits, in order."""
    made: list[Sequence[_Put]] = []
    start, size = 0, 0
    for at, put in enumerate(puts):
        weight = 4 * len(put.line)  # bytes of a character in UTF-8, at most
        if at > start and (at - start == MAX_BATCH_ITEMS or size + weight > MAX_BATCH_BYTES):
            made.append(puts[start:at])
            start, size = at, 0
        size += weight
    if puts:
        made.append(puts[start:])
    return made
