"""What the deployment on a laptop needs of this machine, for ``millrace doctor``."""

from __future__ import annotations

import socket
from dataclasses import asdict

from pipelines.extension import Check
from pipelines.lab.local import Ports


def checks(ports: Ports | None = None) -> list[Check]:
    """Look whether the ports of ``millrace up`` are free."""
    found = []
    for user, port in asdict(ports or Ports()).items():
        fix = f"stop what listens on port {port}; needed by `make up` only, for {user}"
        with socket.socket() as probe:
            probe.settimeout(1)
            taken = probe.connect_ex(("127.0.0.1", port)) == 0
        found.append(Check(f"port {port}", not taken, f"{'taken' if taken else 'free'}, for {user}", fix))
    return found
