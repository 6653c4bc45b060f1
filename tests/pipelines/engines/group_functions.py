"""Functions of groups for the tests of engines: importable in other processes, unlike a test's own."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path

import pandas as pd

TYPES = {"name": "string", "twice": "float64", "pid": "int64", "threads": "string", "folder": "string"}


def doubled(frame: pd.DataFrame) -> pd.DataFrame:
    """Twice the value, and where that was found out."""
    if frame.empty:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in TYPES.items()})
    result = pd.DataFrame({"name": frame["name"], "twice": 2.0 * frame["value"], "pid": os.getpid()})
    result["threads"] = os.environ.get("OMP_NUM_THREADS", "")
    result["folder"] = tempfile.gettempdir()
    return result.astype(TYPES)


def dies_once(frame: pd.DataFrame) -> pd.DataFrame:
    """Take the process along the first time that a group with a mark (a file to be) is seen."""
    for mark in frame.get("mark", pd.Series(dtype=str)):
        if mark and not Path(mark).exists():
            Path(mark).touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return doubled(frame)


def dies(frame: pd.DataFrame) -> pd.DataFrame:
    """Take the process along whenever the group b is seen."""
    if "b" in set(frame["group"]):
        os.kill(os.getpid(), signal.SIGKILL)
    return doubled(frame)


def refuses(frame: pd.DataFrame) -> pd.DataFrame:
    """Raise on the group b."""
    if "b" in set(frame["group"]):
        raise ArithmeticError("no such number")
    return doubled(frame)
