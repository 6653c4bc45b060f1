"""The number of workers follows cores, memory and groups."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from pipelines.engines import resources


def container(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text + "\n")
    return folder


@pytest.mark.parametrize(
    ("quota", "expected"), [("150000 100000", 2), ("50000 100000", 1), ("max 100000", 64), ("", 64)]
)
def test_a_containers_quota_bounds_the_cores(
    quota: str, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources.os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    assert resources.cores(container(tmp_path, cpu_max=quota)) == expected


def test_a_containers_limit_bounds_the_memory(tmp_path: Path) -> None:
    machine = psutil.virtual_memory().total / 2**20
    limited = container(tmp_path, memory_max=str(512 * 2**20), memory_current=str(112 * 2**20))
    assert resources.available_mb(limited) == pytest.approx(min(400, machine), abs=1)
    container(tmp_path, memory_max="max")
    assert 0 < resources.available_mb(tmp_path) <= machine
    assert 0 < resources.available_mb(tmp_path / "none") <= machine


@pytest.mark.parametrize(
    ("groups", "most", "free_mb", "expected"),
    [
        (100, None, 100_000, 8),  # cores
        (3, None, 100_000, 3),  # no idle workers
        (100, 5, 100_000, 5),  # as asked
        (100, None, 3_000, 3),  # 70 % of the free memory carries three of 700 MB
        (100, None, 100, 1),  # at least one
    ],
)
def test_workers(
    groups: int, most: int | None, free_mb: float, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "cores", lambda: 8)
    monkeypatch.setattr(resources, "available_mb", lambda: free_mb)
    assert resources.worker_count(groups, most=most) == expected
