"""The health check against servers that are well, ill and away."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipelines.lab.emulator.emulator import Emulator

SCRIPT = Path(__file__).resolve().parents[2] / "docker" / "healthcheck.py"

#: Shape of Airflow's /api/v2/monitor/health.
HEALTH = {
    "metadatabase": {"status": "healthy"},
    "scheduler": {"status": "unhealthy"},
    "triggerer": {"status": None},
}


class _Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, body = {"/health": (200, json.dumps(HEALTH)), "/text": (200, "OK")}.get(self.path, (503, ""))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Pages) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{httpd.server_address[1]}"
        httpd.shutdown()


def check(*arguments: str, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False, env=environment
    )
    return done.returncode, done.stderr.strip()


def test_healthy(server: str) -> None:
    assert check(f"http://{server}/health", "metadatabase") == (0, "")
    assert check(f"http://{server}/text") == (0, "")
    assert check(f"tcp://{server}") == (0, "")


@pytest.mark.parametrize(
    ("path", "component", "words"),
    [
        ("/health", "scheduler", "scheduler is unhealthy"),
        ("/health", "triggerer", "triggerer is None"),
        ("/health", "dag_processor", "dag_processor is None"),
        ("/text", "scheduler", "Expecting value"),
        ("/none", None, "503"),
    ],
)
def test_unhealthy(server: str, path: str, component: str | None, words: str) -> None:
    code, said = check(f"http://{server}{path}", *([component] if component else []))
    assert code == 1
    assert said.startswith("unhealthy: ")  # a reason, not a traceback
    assert words in said


def test_nothing_listens() -> None:
    assert check("tcp://127.0.0.1:1")[0] == 1
    assert check("http://127.0.0.1:1/")[0] == 1


def test_a_file_is_not_an_address(tmp_path: Path) -> None:
    code, said = check(f"file://{tmp_path}")
    assert code == 1
    assert "must start with http://" in said


def test_the_emulator_is_healthy_to_those_who_trust_its_authority(tmp_path: Path) -> None:
    with Emulator(tmp_path / "state") as emulator:
        url = f"{emulator.url}/_emulator/health"
        assert check(url, SSL_CERT_FILE=str(emulator.ca_bundle)) == (0, "")
        assert "CERTIFICATE_VERIFY_FAILED" in check(url)[1]
