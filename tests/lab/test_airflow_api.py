"""The client of Airflow's API against a server on loopback that fails now and then."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any, ClassVar

import pytest

from pipelines.errors import MillraceError
from pipelines.lab import airflow_api
from pipelines.lab.airflow_api import AirflowApi


class Server(BaseHTTPRequestHandler):
    """Answers with the codes that a test lays out, then with 200; remembers what it was asked."""

    codes: ClassVar[list[int]] = []
    asked: ClassVar[list[Any]] = []

    def do_GET(self) -> None:
        self._answer(200, {"access_token": "t"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(body)
        self._answer(self.codes.pop(0) if self.codes else 200, body)

    def log_message(self, *arguments: Any) -> None:
        """Stay silent."""

    def _answer(self, code: int, body: Any) -> None:
        self.send_response(code)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[AirflowApi]:
    monkeypatch.setattr(airflow_api, "_PAUSE", 0.001)
    Server.codes, Server.asked = [], []
    with HTTPServer(("127.0.0.1", 0), Server) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        client = AirflowApi(f"http://127.0.0.1:{server.server_port}")
        yield client
        client.session.close()
        server.shutdown()
        thread.join()


def test_a_failure_of_the_server_is_tried_again_with_the_same_run_id(api: AirflowApi) -> None:
    Server.codes = [500, 503]
    run_id = api.trigger("churn_train", "2025-11-03")
    assert [body["dag_run_id"] for body in Server.asked] == [run_id] * 3
    assert Server.asked[0]["conf"] == {"as_of": "2025-11-03"}


def test_a_refusal_is_told_at_once(api: AirflowApi) -> None:
    Server.codes = [404]
    with pytest.raises(MillraceError, match="Airflow answered 404 to POST /dags/x/dagRuns"):
        api.trigger("x", "2025-11-03")
    assert len(Server.asked) == 1


def test_a_server_that_goes_on_failing_ends_the_tries(api: AirflowApi) -> None:
    Server.codes = [500] * 20
    with pytest.raises(MillraceError, match="Airflow answered 500"):
        api.trigger("churn_train", "2025-11-03")
    assert len(Server.asked) == airflow_api._TRIES


def test_two_runs_of_a_day_have_names_of_their_own(api: AirflowApi) -> None:
    assert api.trigger("churn_train", "2025-11-03") != api.trigger("churn_train", "2025-11-03")
