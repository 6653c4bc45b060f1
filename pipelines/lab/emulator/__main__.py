"""Run the emulator as a process: ``python -m pipelines.lab.emulator --port 8443 --state DIR``.

Credentials are those of ``MILLRACE_SALESFORCE__USERNAME``, ``__PASSWORD`` and ``__SECURITY_TOKEN``,
the variables that the sink logs in with; without them, the laptop's defaults of
:class:`~pipelines.lab.emulator.sessions.Credentials`.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

from pipelines.errors import ConfigError
from pipelines.lab.emulator.emulator import LOOPBACK, Emulator
from pipelines.lab.emulator.sessions import Credentials
from pipelines.lab.faults import schedule
from pipelines.settings import Settings


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.lab.emulator", description=__doc__)
    parser.add_argument("--port", type=int, default=8443, help="port to listen on; 0 takes a free one")
    parser.add_argument("--state", type=Path, required=True, help="folder of the org and its certificates")
    parser.add_argument(
        "--all-interfaces", action="store_true", help="listen on 0.0.0.0 instead of loopback (containers)"
    )
    parser.add_argument(
        "--remote-control", action="store_true", help="let other machines use /_emulator/ (containers)"
    )
    parser.add_argument(
        "--hostname", action="append", default=[], help="further name for the certificate (repeatable)"
    )
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before a job is processed")
    parser.add_argument("--faults", type=schedule, default=(), help="schedule of faults, as a JSON list")
    options = parser.parse_args(arguments)
    try:
        settings = Settings.load().salesforce
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    credentials = Credentials()
    if settings is not None:
        credentials = Credentials(
            settings.username,
            settings.password.get_secret_value(),
            settings.security_token.get_secret_value(),
        )
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        emulator = Emulator(
            options.state,
            # A container's port is published on purpose; everything else stays on loopback.
            host="0.0.0.0" if options.all_interfaces else LOOPBACK,  # noqa: S104
            port=options.port,
            hosts=options.hostname,
            credentials=credentials,
            faults=options.faults,
            job_latency_seconds=options.latency,
            remote_control=options.remote_control,
        )
    except OSError as error:
        sys.stderr.write(f"the emulator cannot listen on port {options.port}: {error}\n")
        return ConfigError.exit_code
    with emulator:
        sys.stdout.write(f"Salesforce emulator at {emulator.url}, authority {emulator.ca_bundle}\n")
        sys.stdout.flush()
        stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
