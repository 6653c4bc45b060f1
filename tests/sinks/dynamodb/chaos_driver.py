"""Publishes a Parquet file; a life of :mod:`pipelines.lab.lives`.

Places are answers of DynamoDB and commits to the lake: everything after which something is half done.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import pyarrow.parquet as pa_parquet

from pipelines.io.lake import Lake
from pipelines.lab.lives import Places, serve
from pipelines.settings import Settings
from pipelines.sinks.backoff import Backoff
from pipelines.sinks.dynamodb.connection import Connection
from pipelines.sinks.dynamodb.publisher import publish
from pipelines.sinks.dynamodb.target import DynamoTarget, LoadOptions


def live(order: dict[str, Any], places: Places) -> Mapping[str, Any]:
    places.watch(Connection, "attempt", str)
    places.watch(Lake, "append", lambda table: f"commit to {table.name}")
    settings = Settings.load()
    quick = Backoff(attempts=30, base_s=0.0005, cap_s=0.004)
    # One thread, so that the n-th request is the same in every run.
    options = LoadOptions(chunk_rows=30, threads=1, http=quick, retry_wait=quick, read_timeout_s=120.0)
    report = publish(
        pa_parquet.read_table(order["rows"]),
        as_of=date.fromisoformat(order["as_of"]),
        target=DynamoTarget(**order["target"]),
        settings=settings,
        lake=Lake.of(settings),
        options=options,
    )
    return report.record()


if __name__ == "__main__":
    serve(live)
