"""The publish lock excludes other processes and dies with its holder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.errors import SinkError
from pipelines.sinks.lock import exclusive

HOLDER = """
import sys, pathlib, time
from pipelines.sinks.lock import exclusive
with exclusive(pathlib.Path(sys.argv[1]), "o"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_lock_is_held_against_others_and_freed_by_a_kill(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environment
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(SinkError, match="another process is publishing to o"), exclusive(tmp_path, "o"):
            pass
        with exclusive(tmp_path, "another"):
            holder.send_signal(signal.SIGKILL)
            holder.wait()
    with exclusive(tmp_path, "o"):
        pass
