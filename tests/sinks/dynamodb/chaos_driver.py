"""Publishes a Parquet file and kills its own process at the n-th contact with the outside world.

A contact is a point before or after an HTTP exchange or a commit to the lake: everything that can be
half done. The hooks live here, not in the code under test.

Reads one line of JSON from standard input once everything is imported (``kill_at`` 0: never), so that
the next process can get ready while one works. Prints the report as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from datetime import date
from typing import Any

import pyarrow.parquet as pa_parquet

from pipelines.errors import SinkError
from pipelines.io.lake import Lake
from pipelines.settings import Settings
from pipelines.sinks.backoff import Backoff
from pipelines.sinks.dynamodb.connection import Connection
from pipelines.sinks.dynamodb.publisher import publish
from pipelines.sinks.dynamodb.target import DynamoTarget, LoadOptions


def arm(kill_at: int) -> None:
    contacts, lock = 0, threading.Lock()

    def contact(place: str) -> None:
        nonlocal contacts
        with lock:
            contacts += 1
            if contacts == kill_at:
                sys.stderr.write(f"{place}\n")
                sys.stderr.flush()
                os.kill(os.getpid(), signal.SIGKILL)

    def watched(method: Callable[..., Any], name: Callable[[Any], str]) -> Callable[..., Any]:
        def around(self: Any, subject: Any, *args: Any, **kwargs: Any) -> Any:
            contact(f"before {name(subject)}")
            result = method(self, subject, *args, **kwargs)
            contact(f"after {name(subject)}")
            return result

        return around

    Connection.attempt = watched(Connection.attempt, str)  # type: ignore[method-assign]
    Lake.append = watched(Lake.append, lambda table: f"commit to {table.name}")  # type: ignore[method-assign]


def main() -> int:
    config = json.loads(sys.stdin.readline())
    arm(config["kill_at"])
    settings = Settings.load()
    quick = Backoff(attempts=30, base_s=0.0005, cap_s=0.004)
    try:
        report = publish(
            pa_parquet.read_table(config["rows"]),
            as_of=date.fromisoformat(config["as_of"]),
            target=DynamoTarget(**config["target"]),
            settings=settings,
            lake=Lake.of(settings),
            options=LoadOptions(chunk_rows=30, threads=2, http=quick, retry_wait=quick, read_timeout_s=5.0),
        )
    except SinkError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(json.dumps(report.record()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
