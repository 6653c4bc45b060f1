"""Worker processes: same results as without them, whatever happens to them."""

from __future__ import annotations

import gc
import os
import subprocess
from pathlib import Path
from types import ModuleType

import pandas as pd
import psutil
import pytest

from pipelines.engines.base import EngineError, GroupsLost
from pipelines.engines.local import ATTEMPTS, LocalEngine, Worker

PURE = ["name", "twice"]


def rows(**columns: object) -> pd.DataFrame:
    frame = pd.DataFrame({"group": list("cabacb"), "name": list("uvwxyz"), "value": range(6)})
    return frame.assign(**columns)


def workers_of_this_process() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children(recursive=True)
        if child.status() != psutil.STATUS_ZOMBIE and "pipelines.engines.worker" in child.cmdline()
    ]


def test_groups_come_back_in_order_from_processes_with_one_thread(functions: ModuleType) -> None:
    told: list[tuple[int, int]] = []
    with LocalEngine(workers=2) as engine:
        result = engine.map_groups(
            functions.doubled, rows(), key="group", progress=lambda *done: told.append(done)
        )
        again = engine.map_groups(functions.doubled, rows(), key="group")
        folder = Path(result["folder"][0])
        assert folder.is_dir()
    assert result["name"].tolist() == list("vxwzuy")  # groups by name, rows in their order
    assert result["twice"].tolist() == [2.0, 6.0, 4.0, 10.0, 0.0, 8.0]
    assert result.dtypes.to_dict() == functions.doubled(rows().iloc[:0]).dtypes.to_dict()
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert set(result["threads"]) == {"1"}
    assert os.getpid() not in set(result["pid"])
    assert set(again["pid"]) <= set(result["pid"]), "workers must stay between calls"
    assert not workers_of_this_process()
    assert not folder.exists()


def test_a_worker_that_dies_is_replaced_and_its_group_done_again(
    functions: ModuleType, tmp_path: Path
) -> None:
    marked = rows(mark=["", str(tmp_path / "a"), "", "", "", str(tmp_path / "b")])
    with LocalEngine(workers=1) as engine:
        result = engine.map_groups(functions.dies_once, marked, key="group")
    assert (tmp_path / "a").exists()
    assert (tmp_path / "b").exists()
    pd.testing.assert_frame_equal(
        result[PURE],
        functions.doubled(rows().sort_values("group", kind="stable"))[PURE].reset_index(drop=True),
    )


def test_a_group_that_kills_every_worker_is_named_and_the_others_are_kept(functions: ModuleType) -> None:
    told: list[tuple[int, int]] = []
    with (
        LocalEngine(workers=1) as engine,
        pytest.raises(GroupsLost, match=f"died {ATTEMPTS} times on each of 1 groups: b") as caught,
    ):
        engine.map_groups(functions.dies, rows(), key="group", progress=lambda *done: told.append(done))
    assert caught.value.groups == ["b"]
    assert caught.value.rest["name"].tolist() == list("vxuy")
    assert told[-1] == (3, 3)


def test_an_error_names_the_group_and_stops_the_rest(functions: ModuleType) -> None:
    engine = LocalEngine(workers=1)
    with pytest.raises(EngineError, match=r"(?s)group 'b' failed.*ArithmeticError: no such number"):
        engine.map_groups(functions.refuses, rows(), key="group")
    assert not workers_of_this_process()
    with engine:  # usable again
        assert len(engine.map_groups(functions.refuses, rows().query("group != 'b'"), key="group")) == 4


def test_no_groups_give_no_rows_and_start_no_process(functions: ModuleType) -> None:
    with LocalEngine() as engine:
        result = engine.map_groups(functions.doubled, rows().iloc[:0], key="group")
        assert not workers_of_this_process()
    assert result.empty
    assert list(result.columns) == list(functions.TYPES)


def test_an_engine_that_is_forgotten_leaves_no_process(functions: ModuleType) -> None:
    engine = LocalEngine(workers=1)
    engine.map_groups(functions.doubled, rows(), key="group")
    assert len(workers_of_this_process()) == 1
    del engine
    gc.collect()
    assert not workers_of_this_process()


def test_a_worker_ends_when_the_other_side_is_gone(tmp_path: Path) -> None:
    worker = Worker.start(str(tmp_path))
    worker.connection.close()
    try:
        assert worker.process.wait(timeout=60) == 0
    except subprocess.TimeoutExpired:
        worker.kill()
        raise
