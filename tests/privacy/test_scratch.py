"""Databases that runs left behind go, broken ones too; the one that a run works on stays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb

from pipelines.privacy.files import Scratch
from pipelines.privacy.person import Person
from pipelines.settings import Settings

HOLD = "import duckdb, sys; con = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"


def test_a_database_that_cannot_be_opened_is_not_taken_for_one_in_use(tmp_path: Path) -> None:
    runs = tmp_path / "runs" / "some"
    runs.mkdir(parents=True)
    whole, broken, used = (runs / f"{name}.duckdb" for name in ("whole", "broken", "used"))
    duckdb.connect(str(whole)).close()
    broken.write_bytes(b"half a page with somebody in it")
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", HOLD, str(used)], stdin=pipe, stdout=pipe) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        scratch, person = Scratch(Settings(var=tmp_path)), Person("C-1", "p")
        assert scratch.find(person) == {"runs (databases)": 2, "texts": 0}
        scratch.erase(person)
        assert sorted(runs.glob("*.duckdb")) == [used]
        holder.communicate()
    assert scratch.find(person) == {"runs (databases)": 1, "texts": 0}
