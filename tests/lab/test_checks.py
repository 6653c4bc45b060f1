"""The deployment on a laptop says which of its ports somebody else has."""

from __future__ import annotations

import socket

from pipelines.lab.checks import checks
from pipelines.lab.local import Ports


def test_a_taken_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = checks(Ports(mlflow=port))
        [taken] = [check for check in found if check.name == f"port {port}"]
    assert not taken.ok
    assert taken.detail == "taken, for mlflow"
    assert len(found) == 4


def test_free_ports() -> None:
    assert all(check.ok for check in checks(Ports.free()))
