"""DynamoDB's twin on loopback, and a proxy before it that does to requests what networks and services do."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipelines.io.lake import Lake
from pipelines.lab.faults import Fault, Injector
from pipelines.lab.local import LocalStack, Ports
from pipelines.settings import DynamoSettings, Settings
from pipelines.sinks.backoff import Backoff
from pipelines.sinks.dynamodb.connection import Connection
from pipelines.sinks.dynamodb.publisher import publish
from pipelines.sinks.dynamodb.reader import Reader
from pipelines.sinks.dynamodb.target import DynamoTarget, LoadOptions
from pipelines.sinks.dynamodb.versions import Versions
from pipelines.sinks.ledger import Ledger
from pipelines.sinks.report import PublishReport

DAY = date(2026, 1, 5)
QUICK = Backoff(attempts=12, base_s=0.001, cap_s=0.01)
FAST = LoadOptions(retry_wait=QUICK, http=QUICK, read_timeout_s=60.0, threads=3)

Answer = tuple[int, dict[str, Any]]
#: Sees a request before the twin does; an answer of its own keeps the request from it.
Hook = Callable[[str, dict[str, Any]], Answer | None]


def refusal(status: int, code: str, message: str = "injected") -> Answer:
    return status, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message}


class Proxy:
    """Forwards requests to the twin, except where it does not."""

    #: What can go wrong with a request. ``partial`` does the first half of a batch and hands the other half back.
    faults = ("throttle", "server_error", "drop_before", "drop_after", "partial")

    def __init__(self, twin: int) -> None:
        self._twin = twin
        self._lock = threading.Lock()
        self.injector = Injector(self.faults)
        self.hook: Hook | None = None
        self.requests: Counter[str] = Counter()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # else every answer waits 40 ms for an acknowledgement

            def do_POST(self) -> None:
                proxy.handle(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def use(self, *faults: Fault) -> None:
        """Follow a schedule from now on; kinds of calls are DynamoDB's names of operations."""
        self.injector.replace(faults)

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        operation = request.headers["X-Amz-Target"].rpartition(".")[2]
        body = json.loads(request.rfile.read(int(request.headers["Content-Length"])))
        with self._lock:
            self.requests[operation] += 1
        answer = self.hook(operation, body) if self.hook else None
        fault = self.injector.next("request", operation)
        name = fault.name if fault else ""
        if answer is None:
            if name == "throttle":
                answer = refusal(400, "ProvisionedThroughputExceededException")
            elif name == "server_error":
                answer = refusal(500, "InternalServerError")
            elif name == "drop_before":
                return _cut(request)
            elif name == "partial":
                answer = self._partly(operation, body, request)
            else:
                answer = self.forward(body, request)
        if name == "drop_after":
            return _cut(request)
        text = json.dumps(answer[1]).encode()
        request.send_response(answer[0])
        request.send_header("Content-Type", "application/x-amz-json-1.0")
        request.send_header("Content-Length", str(len(text)))
        request.end_headers()
        request.wfile.write(text)
        return None

    def forward(self, body: dict[str, Any], request: BaseHTTPRequestHandler) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self._twin, timeout=300)
        names = ("X-Amz-Target", "Content-Type", "Authorization", "X-Amz-Date")
        headers = {name: request.headers[name] for name in names}
        connection.request("POST", "/", json.dumps(body), headers)
        response = connection.getresponse()
        answer = response.status, json.loads(response.read())
        connection.close()
        return answer

    def _partly(self, operation: str, body: dict[str, Any], request: BaseHTTPRequestHandler) -> Answer:
        """Do the first half of a batch and hand the others back."""
        ((table, asked),) = body["RequestItems"].items()
        writes = operation == "BatchWriteItem"
        everything = asked if writes else asked["Keys"]
        half = len(everything) // 2
        done, left = everything[:half], everything[half:]
        status, answer = 200, {"Responses": {table: []}, "ConsumedCapacity": []}
        if done:
            some = done if writes else asked | {"Keys": done}
            status, answer = self.forward(body | {"RequestItems": {table: some}}, request)
        if writes:
            answer["UnprocessedItems"] = {table: left}
        else:
            answer["UnprocessedKeys"] = {table: asked | {"Keys": left}}
        return status, answer


def _cut(request: BaseHTTPRequestHandler) -> None:
    request.close_connection = True
    request.connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="session", autouse=True)
def credentials() -> Iterator[None]:
    """Whatever is set where the tests run, they sign with these."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_SESSION_TOKEN"):
            patch.delenv(name, raising=False)
        patch.setenv("AWS_ACCESS_KEY_ID", "tests")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "tests")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("AWS_CONFIG_FILE", "/nonexistent")
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
        yield


@pytest.fixture(scope="session")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Port of the twin that ``millrace up`` starts."""
    settings = Settings(var=tmp_path_factory.mktemp("twin"))
    with LocalStack(settings, Ports.free()) as stack:
        stack.start_dynamodb()
        yield stack.ports.dynamodb


@pytest.fixture
def proxy(twin: int) -> Iterator[Proxy]:
    made = Proxy(twin)
    yield made
    made.close()


@dataclass
class Bench:
    """A table of its own behind the proxy, a lake, and rows to publish."""

    proxy: Proxy
    settings: Settings
    target: DynamoTarget
    options: LoadOptions = field(default_factory=lambda: FAST)

    @cached_property
    def connection(self) -> Connection:
        return Connection(self.place, self.options)

    @property
    def reader(self) -> Reader:
        return Reader(self.connection, self.target.table, self.target.namespace, wait=QUICK)

    @property
    def versions(self) -> Versions:
        return Versions(self.connection, self.target.table, self.target.namespace)

    @property
    def lake(self) -> Lake:
        return Lake.of(self.settings)

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.lake, "dynamodb", self.target.object)

    @property
    def place(self) -> DynamoSettings:
        assert self.settings.dynamodb is not None
        return self.settings.dynamodb

    def rows(self, count: int = 40, day: date = DAY, shift: float = 0.0) -> pa.Table:
        days = np.arange(1.0, 4.0)
        values = [list(days * 0.1 + number + shift) for number in range(count)]
        return pa.table(
            {
                "item_key": [f"sku_store#S{number % 7}#K{number:04d}" for number in range(count)],
                "as_of": pa.array([day] * count, pa.date32()),
                "operational": pa.array(values, pa.list_(pa.float64())),
                "model": ["ets" if number % 2 else None for number in range(count)],
                "units": pa.array([number + shift for number in range(count)]),
            }
        )

    def publish(self, rows: pa.Table | None = None, day: date = DAY, **options: Any) -> PublishReport:
        return publish(
            self.rows(day=day) if rows is None else rows,
            as_of=day,
            target=self.target,
            settings=self.settings,
            lake=self.lake,
            options=replace(self.options, **options),
        )

    def held(self) -> list[dict[str, Any]]:
        """Every item of the table, as DynamoDB's JSON."""
        items, start = [], {}
        while True:
            page = self.connection.call("scan", TableName=self.target.table, ConsistentRead=True, **start)
            items += page["Items"]
            if "LastEvaluatedKey" not in page:
                return items
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def keys(self, version: str) -> list[str]:
        """Keys of the items of a version, as they lie in the table."""
        prefix = f"{self.target.namespace}#"
        names = [item["pk"]["S"].removeprefix(prefix) for item in self.held() if item["sk"]["S"] == version]
        return sorted(name for name in names if not name.startswith("@"))


@pytest.fixture
def bench(proxy: Proxy, tmp_path: Path) -> Iterator[Bench]:
    table = f"test-{uuid.uuid4().hex[:12]}"
    place = DynamoSettings(table=table, region="eu-west-3", endpoint_url=proxy.url, create_table=True)
    settings = Settings(var=tmp_path, dynamodb=place)
    made = Bench(proxy, settings, DynamoTarget(table, "demand", "item_key", retention_days=14))
    yield made
    if "connection" in vars(made):
        made.connection.__exit__()
