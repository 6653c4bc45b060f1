"""Publishes a Parquet file; a life of :mod:`pipelines.lab.lives`.

Places are answers of Salesforce and commits to the lake: everything after which something is half done.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any
from urllib.parse import urlsplit

import pyarrow.parquet as pa_parquet
from requests.adapters import HTTPAdapter

from pipelines.io.lake import Lake
from pipelines.lab.lives import Places, serve
from pipelines.settings import Settings
from pipelines.sinks.backoff import Backoff
from pipelines.sinks.salesforce.publisher import publish
from pipelines.sinks.salesforce.target import Null, PublishOptions, SalesforceTarget


def request(sent: Any) -> str:
    """Name a request without what differs between runs: ``PUT ingest/*/batches``."""
    path = re.sub("/750[0-9A-Za-z]+", "/*", urlsplit(sent.url).path)
    return f"{sent.method} {re.sub(r'^/services/(data/v[0-9.]+/(jobs/)?)?', '', path)}"


def live(order: dict[str, Any], places: Places) -> Mapping[str, Any]:
    places.watch(HTTPAdapter, "send", request)
    places.watch(Lake, "append", lambda table: f"commit to {table.name}")
    settings = Settings.load()
    quick = Backoff(attempts=6, base_s=0.001, cap_s=0.02)
    report = publish(
        pa_parquet.read_table(order["rows"]),
        as_of=date.fromisoformat(order["as_of"]),
        target=SalesforceTarget(
            order["object"],
            order["external_id_field"],
            {name: Null(policy) for name, policy in order["fields"].items()},
            order["sort_by"],
        ),
        settings=settings,
        lake=Lake.of(settings),
        options=PublishOptions(
            max_chunk_rows=order["max_chunk_rows"],
            retry_wait=quick,
            http=quick,
            poll=quick,
            connect_timeout_s=120.0,
            read_timeout_s=120.0,
        ),
    )
    return report.record()


if __name__ == "__main__":
    serve(live)
