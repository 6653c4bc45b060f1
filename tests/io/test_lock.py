"""A lock excludes other processes and dies with its holder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pipelines.errors import SinkError
from pipelines.io.lock import exclusive
from pipelines.settings import Settings

HOLDER = """
import time
from pipelines.io.lock import exclusive
from pipelines.settings import Settings
with exclusive(Settings.load(), "o"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_is_held_against_others_and_freed_by_a_kill(tmp_path: Path) -> None:
    settings, busy = Settings(var=tmp_path), SinkError("somebody else is at it")
    environment = os.environ | {"MILLRACE_VAR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True, env=environment
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(SinkError, match="somebody else"), exclusive(settings, "o", refusal=busy):
            pass
        with exclusive(settings, "another", refusal=busy):
            pass
        entered = threading.Event()

        def wait_for_it() -> None:
            with exclusive(settings, "o"):
                entered.set()

        waiting = threading.Thread(target=wait_for_it)
        waiting.start()
        assert not entered.wait(0.3)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        waiting.join(timeout=30)
        assert entered.is_set()
