"""Messages through real SMTP and HTTP servers on loopback, and from a real failing DAG run."""

from __future__ import annotations

import json
import logging
import os
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipelines.orchestration import notifications

ALARM = {
    "usecase": "churn",
    "as_of": "2025-06-02",
    "name": "score_shift",
    "severity": "critical",
    "value": 0.31,
    "threshold": 0.15,
    "segment": "plan_tier=<growth>",
    "finding": "31% of accounts in another score band",
    "meaning": "CS works a <wrong> list",
    "first_step": "Open the report",
}


class MailSink(socketserver.ThreadingTCPServer):
    """The part of SMTP that a client without authentication uses; keeps what it is sent."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), MailHandler)
        self.mails: list[bytes] = []
        self.recipients: list[str] = []


class MailHandler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        sink = self.server
        assert isinstance(sink, MailSink)
        self.wfile.write(b"220 sink\r\n")
        for line in self.rfile:
            verb = line[:4].upper()
            if verb == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                body = b""
                for part in self.rfile:
                    if part == b".\r\n":
                        break
                    body += part
                sink.mails.append(body)
            elif verb == b"RCPT":
                sink.recipients.append(line.decode().split("<")[1].split(">")[0])
            elif verb == b"QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            self.wfile.write(b"250 ok\r\n")


class HookServer(HTTPServer):
    def __init__(self, status: int) -> None:
        super().__init__(("127.0.0.1", 0), HookHandler)
        self.status = status
        self.posts: list[tuple[str, dict[str, object]]] = []


class HookHandler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        sink = self.server
        assert isinstance(sink, HookServer)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        sink.posts.append((self.path, json.loads(body)))
        self.send_response(sink.status)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Keep the test's output clean."""


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def mail() -> Iterator[MailSink]:
    sink = MailSink()
    with serving(sink):
        yield sink


@pytest.fixture
def hook(request: pytest.FixtureRequest) -> Iterator[HookServer]:
    server = HookServer(getattr(request, "param", 200))
    with serving(server):
        yield server


class Lines(logging.Handler):
    """Airflow sets logging up anew when it is first imported, which would cut off ``caplog``."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += record.getMessage() + "\n"


@pytest.fixture
def logged() -> Iterator[Lines]:
    handler = Lines()
    notifications.log.addHandler(handler)
    yield handler
    notifications.log.removeHandler(handler)


def connections(mail: MailSink | None = None, hook: HookServer | None = None) -> dict[str, str]:
    found = {}
    if mail:
        extra = {
            "from_email": "millrace@example.com",
            "to": "ml@example.com, cs@example.com",
            "disable_ssl": True,
            "disable_tls": True,
            "retry_limit": 0,
        }
        found["AIRFLOW_CONN_MILLRACE_SMTP"] = json.dumps(
            {"conn_type": "smtp", "host": "127.0.0.1", "port": mail.server_address[1], "extra": extra}
        )
    if hook:
        found["AIRFLOW_CONN_MILLRACE_WEBHOOK"] = json.dumps(
            {
                "conn_type": "http",
                "host": "127.0.0.1",
                "schema": "http",
                "port": hook.server_address[1],
                "login": "user",
                "password": "hunter2",
            }
        )
    return found


def use(monkeypatch: pytest.MonkeyPatch, found: dict[str, str]) -> None:
    for name in ("AIRFLOW_CONN_MILLRACE_SMTP", "AIRFLOW_CONN_MILLRACE_WEBHOOK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in found.items():
        monkeypatch.setenv(name, value)


def decoded(mail: bytes) -> tuple[str, str]:
    message = message_from_bytes(mail, policy=policy.default)
    part = message.get_body(("html",))
    assert part is not None
    return str(message["Subject"]), part.get_content()


def test_alarms_reach_log_mail_and_webhook(
    monkeypatch: pytest.MonkeyPatch, mail: MailSink, hook: HookServer, logged: Lines
) -> None:
    use(monkeypatch, connections(mail, hook))
    second = {**ALARM, "name": "predictions", "finding": "12,000 accounts scored"}

    assert notifications.notify_alarms([ALARM, second]) == ["log", "smtp", "webhook"]

    assert mail.recipients == ["ml@example.com", "cs@example.com"]
    [(subject, body)] = [decoded(raw) for raw in mail.mails]
    assert subject == "[millrace] churn: 2 alarms for 2025-06-02: score_shift, predictions"
    assert "CS works a &lt;wrong&gt; list" in body
    [(path, posted)] = hook.posts
    assert path == "/"
    assert posted["alarms"] == [ALARM, second]
    assert "First step: Open the report" in str(posted["text"])
    assert "12,000 accounts scored" in logged.text


def test_no_alarm_sends_nothing(monkeypatch: pytest.MonkeyPatch, mail: MailSink, logged: Lines) -> None:
    use(monkeypatch, connections(mail))
    assert notifications.notify_alarms([]) == []
    assert not mail.mails
    assert logged.text == ""


def test_without_connections_the_log_has_it(monkeypatch: pytest.MonkeyPatch, logged: Lines) -> None:
    use(monkeypatch, {})
    assert notifications.notify_alarms([ALARM]) == ["log"]
    assert "31% of accounts" in logged.text


@pytest.mark.parametrize("hook", [500], indirect=True)
def test_one_broken_channel_does_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch, mail: MailSink, hook: HookServer, logged: Lines
) -> None:
    use(monkeypatch, connections(mail, hook))
    assert notifications.notify_alarms([ALARM]) == ["log", "smtp"]
    assert len(mail.mails) == 1
    assert "not delivered by webhook" in logged.text
    assert "hunter2" not in logged.text


def test_unreachable_mail_server_is_logged_not_raised(
    monkeypatch: pytest.MonkeyPatch, hook: HookServer, logged: Lines
) -> None:
    gone = MailSink()
    gone.server_close()
    use(monkeypatch, connections(gone, hook))
    assert notifications.notify_alarms([ALARM]) == ["log", "webhook"]
    assert "not delivered by smtp" in logged.text


def test_failure_without_a_task_still_says_what_to_do() -> None:
    context = {"dag": SimpleNamespace(dag_id="churn_score"), "run_id": "manual__1", "reason": "timed_out"}
    message = notifications.failure_message(context)
    assert message.subject == "[millrace] churn_score failed, as_of unknown"
    assert "timed_out" in message.text
    assert "First step: Open the log" in message.text


@pytest.mark.parametrize(
    "step", ["prepare", "train", "gate", "score", "publish", "monitor", "report", "ingest"]
)
def test_every_step_has_its_own_words(step: str) -> None:
    context = {
        "dag": SimpleNamespace(dag_id="churn"),
        "ti": SimpleNamespace(task_id=f"group.{step}", try_number=3, log_url="http://air/log?a=1&b=2"),
        "params": {"as_of": "2025-06-02"},
    }
    message = notifications.failure_message(context)
    generic = notifications.failure_message({**context, "ti": SimpleNamespace(task_id="other")})
    assert message.lines[1:3] != generic.lines[1:3]
    assert f"group.{step} failed in try 3" in message.text
    assert "as_of 2025-06-02" in message.subject
    assert 'href="http://air/log?a=1&amp;b=2"' in message.html


DAG_FILE = """
import pendulum
from airflow.sdk import Param, dag, task
from pipelines.orchestration.notifications import notify_failure

@dag(dag_id="failing", schedule=None, start_date=pendulum.datetime(2025, 1, 1, tz="UTC"),
     on_failure_callback=notify_failure, params={"as_of": Param(None, type=["null", "string"])})
def failing():
    @task
    def score():
        raise RuntimeError("no scores today")
    @task
    def publish():
        raise RuntimeError("no room")
    score()
    publish()

failing()
"""


def test_one_message_per_failed_dag_run(tmp_path: Path, hook: HookServer) -> None:
    """Two tasks fail; the callback that Airflow itself calls sends one message with all it knows."""
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "failing.py").write_text(DAG_FILE)
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("AIRFLOW")},
        **connections(hook=hook),
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path / 'airflow.db'}",
        "PYTHONPATH": str(Path(notifications.__file__).parents[2]),
    }
    airflow = [sys.executable, "-m", "airflow"]
    subprocess.run([*airflow, "db", "migrate"], env=environment, check=True, capture_output=True)
    ran = subprocess.run(
        [*airflow, "dags", "test", "failing", "--conf", '{"as_of": "2025-06-02"}'],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert len(hook.posts) == 1, ran.stdout[-3000:] + ran.stderr[-3000:]
    posted = hook.posts[0][1]
    assert posted["dag_id"] == "failing"
    assert posted["task_id"] in {"score", "publish"}
    assert posted["as_of"] == "2025-06-02"
    assert str(posted["run_id"]).startswith("manual__")
    assert "dag_id=failing" in str(posted["link"]) or "/dags/failing/" in str(posted["link"])


def test_a_missed_deadline_says_what_is_late_and_for_whom() -> None:
    context = {
        "dag_run": {"dag_id": "demand_forecast", "dag_run_id": "scheduled__1", "logical_date": "2025-06-02T02:00:00Z"},
        "deadline": {"id": "7", "deadline_time": "2025-06-02 04:00:00+00:00"},
    }  # fmt: skip
    message = notifications.deadline_message(
        context, "today's forecasts", "The order system opens without them."
    )
    assert message.subject == "[millrace] demand_forecast is late, as_of 2025-06-02: today's forecasts"
    assert "due at 2025-06-02 04:00:00+00:00" in message.text
    assert "What it means: The order system opens without them." in message.text
    assert message.facts["run_id"] == "scheduled__1"


def test_a_late_run_by_hand_is_told_with_its_own_day(logged: Lines) -> None:
    context = {
        "dag_run": {
            "dag_id": "d",
            "dag_run_id": "manual__1",
            "conf": {"as_of": "2025-06-03"},
            "logical_date": None,
        }
    }
    notifications.notify_deadline(context, what="w", for_whom="f")  # as Airflow calls it: by keywords
    assert "d is late, as_of 2025-06-03" in logged.text
