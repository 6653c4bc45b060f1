"""How many workers this machine, or this container, can run."""

from __future__ import annotations

import math
import os
from pathlib import Path

import psutil

CGROUP = Path("/sys/fs/cgroup")

#: What a worker holds with all forecasting libraries imported and a group in hand.
WORKER_MB = 700

#: Share of the free memory that workers may take together.
MEMORY_SHARE = 0.7


def worker_count(groups: int, *, most: int | None = None, worker_mb: float = WORKER_MB) -> int:
    """Workers for a number of groups: bounded by cores, memory (``worker_mb`` each), groups and ``most``; at least 1."""
    by_memory = int(MEMORY_SHARE * available_mb() / worker_mb)
    return max(1, min(groups, cores(), by_memory, most or groups))


def cores(cgroup: Path = CGROUP) -> int:
    """Cores this process may use, by its affinity and its container's quota; at least 1."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _read(cgroup / "cpu.max").split()
    if len(quota) == 2 and quota[0] != "max":
        affinity = min(affinity, math.ceil(int(quota[0]) / int(quota[1])))
    return max(1, affinity)


def available_mb(cgroup: Path = CGROUP) -> float:
    """Free memory of the machine or, if that is less, of its container."""
    free = float(psutil.virtual_memory().available)
    limit, used = _read(cgroup / "memory.max"), _read(cgroup / "memory.current")
    if limit.isdigit() and used.isdigit():
        free = min(free, max(0.0, float(limit) - float(used)))
    return free / 2**20


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
