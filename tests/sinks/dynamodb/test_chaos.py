"""kill -9 in the middle: the next process resumes, and readers never notice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Self

import pyarrow.parquet as pa_parquet
import pytest

from pipelines.sinks.flips import read_flips

DRIVER = Path(__file__).with_name("chaos_driver.py")
DAY = date(2026, 1, 5)
NEXT = DAY + timedelta(days=1)

#: Contacts after which a process is killed: in the plan, in the first chunk, between chunks, at the flip.
KILLS = (8, 13, 17, 10)


class Drivers:
    """Driver processes, one ahead: the next one imports while the present one works."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._ready = self._spawn()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ready.kill()
        self._ready.communicate()

    def _spawn(self) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        command = [sys.executable, str(DRIVER)]
        return subprocess.Popen(
            command, env=self._environment, text=True, stdin=pipe, stdout=pipe, stderr=pipe
        )

    def run(self, order: dict[str, Any], *, last: bool) -> tuple[int, str, str]:
        process = self._ready
        if not last:
            self._ready = self._spawn()
        output, errors = process.communicate(json.dumps(order) + "\n", timeout=60)
        return process.returncode, output, errors


@pytest.mark.chaos
def test_killed_processes_are_resumed(bench: Any, tmp_path: Path) -> None:
    first = bench.publish(bench.rows(110))
    rows = bench.rows(120, NEXT, shift=0.5)
    path = tmp_path / "rows.parquet"
    pa_parquet.write_table(rows, path)
    place = bench.place
    environment = os.environ | {
        "PYTHONPATH": str(Path(__file__).parents[3]),
        "MILLRACE_VAR": str(bench.settings.var),
        "MILLRACE_DYNAMODB__TABLE": place.table,
        "MILLRACE_DYNAMODB__REGION": place.region,
        "MILLRACE_DYNAMODB__ENDPOINT_URL": place.endpoint_url,
        "MILLRACE_DYNAMODB__CREATE_TABLE": "true",
    }
    order = {"rows": str(path), "as_of": NEXT.isoformat(), "target": asdict(bench.target)}
    bench.proxy.use(seed=3, throttle=0.1, drop_after=0.1, partial=0.1)
    places = []
    with Drivers(environment) as drivers:
        for kill_at in KILLS:
            returncode, _, errors = drivers.run(order | {"kill_at": kill_at}, last=False)
            assert returncode == -signal.SIGKILL, errors
            places.append(errors.splitlines()[-1])
            version = bench.reader.get_many(["sku_store#S0#K0000"]).pointer.version
            run = bench.ledger.newest()
            assert version in (first.run_id, run.run_id)
            assert run.counts().balanced
        returncode, output, errors = drivers.run(order | {"kill_at": 0}, last=True)
    bench.proxy.use()
    assert returncode == 0, errors
    assert len(set(places)) >= 3, places  # the kills hit different places
    report = json.loads(output)
    assert (report["planned"], report["sent"], report["ok"]) == (120, 120, 120)
    assert (report["failed"], report["unknown"], report["dead"]) == (0, 0, 0)
    assert report["complete"]
    assert bench.keys(report["run_id"]) == sorted(rows["item_key"].to_pylist())
    found = bench.reader.get_many(rows["item_key"].to_pylist())
    assert found.pointer.version == report["run_id"]
    assert [float(found.found[key]["units"]) for key in rows["item_key"].to_pylist()] == rows[
        "units"
    ].to_pylist()
    assert found.pointer.revision == 2, "whatever was killed, the pointer moved once"
    flips = read_flips(bench.lake, "dynamodb", bench.target.object)
    assert flips["version"].to_list() == [first.run_id, report["run_id"]]
    fates = bench.ledger.newest().rows()
    assert fates["external_id"].n_unique() == fates.height == 120
