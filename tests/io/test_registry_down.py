"""A registry that fails is no registry without models: nothing may be decided on its silence."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from datetime import date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import mlflow
import pytest

from pipelines.errors import ConfigError, MillraceError, RegistryError
from pipelines.io.lake import Lake
from pipelines.io.promotions import read_promotions
from pipelines.io.registry import CHAMPION, Registry
from pipelines.io.serving import promote
from pipelines.settings import Settings
from pipelines.steps import Step, run_step

NOON = datetime.fromisoformat("2025-06-02T12:00:00")


class Server:
    """An MLflow server that gives one answer to everything."""

    def __init__(self) -> None:
        self.answer: tuple[int, str] = (200, "{}")
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = server.answer
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = int(self._http.server_address[1])
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    before = mlflow.get_tracking_uri()
    made = Server()
    yield made
    made.stop()
    mlflow.set_tracking_uri(before)
    mlflow.set_registry_uri(before)


@pytest.fixture
def settings(server: Server, tmp_path: Path) -> Settings:
    uri = f"http://somebody:hunter2@127.0.0.1:{server.port}"
    return Settings(var=tmp_path, mlflow_tracking_uri=uri)


def refusal(status: int, code: str) -> tuple[int, str]:
    return status, json.dumps({"error_code": code, "message": "as asked for"})


FAILURES = {
    "no service": (503, "upstream connect error"),
    "a fault of the server": refusal(500, "INTERNAL_ERROR"),
    "a database that is away": refusal(503, "TEMPORARILY_UNAVAILABLE"),
    "no permission": refusal(403, "PERMISSION_DENIED"),
    "a request that is not valid": refusal(400, "INVALID_PARAMETER_VALUE"),
    "another server": (404, "<html>not found</html>"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_registry_that_fails_does_not_say_that_there_is_no_champion(
    server: Server, settings: Settings, failure: str
) -> None:
    server.answer = FAILURES[failure]
    with pytest.raises(RegistryError) as caught:
        Registry(settings, "churn").aliased(CHAMPION)
    said = str(caught.value)
    assert f"registry at http://127.0.0.1:{server.port} did not answer about churn: " in said
    assert "`millrace doctor`" in said
    assert "hunter2" not in said
    assert "somebody" not in said
    assert isinstance(caught.value, MillraceError)
    assert caught.value.__suppress_context__, "the cause holds the address with its credentials"


def test_a_registry_that_is_not_there_does_not_say_so_either(server: Server, settings: Settings) -> None:
    server.stop()
    with pytest.raises(RegistryError, match=rf"http://127.0.0.1:{server.port} did not answer") as caught:
        Registry(settings, "churn").aliased(CHAMPION)
    assert "hunter2" not in str(caught.value)


def test_a_database_that_is_broken_does_not_say_so_either(registry: Registry, tmp_path: Path) -> None:
    assert registry.aliased(CHAMPION) is None
    with sqlite3.connect(tmp_path / "mlflow" / "mlflow.db") as database:
        database.execute("DROP TABLE registered_models")
    database.close()
    with pytest.raises(RegistryError, match=r"(?s)sqlite:///.*mlflow\.db did not answer.*no such table"):
        registry.aliased(CHAMPION)


def test_only_a_registry_that_says_so_has_no_such_model(server: Server, settings: Settings) -> None:
    server.answer = refusal(404, "RESOURCE_DOES_NOT_EXIST")
    registry = Registry(settings, "churn")
    assert registry.aliased(CHAMPION) is None
    with pytest.raises(ConfigError, match="churn has no version '3'"):
        registry.version("3")


def test_nothing_is_judged_or_promoted_by_a_registry_that_fails(server: Server, settings: Settings) -> None:
    server.answer = FAILURES["no service"]
    with pytest.raises(RegistryError):
        run_step("churn", Step.GATE, date(2025, 6, 2), settings=settings)
    with pytest.raises(RegistryError):
        promote(settings, "churn", "3", why="because", at=NOON)
    assert list(read_promotions(Lake.of(settings), "churn")) == []
