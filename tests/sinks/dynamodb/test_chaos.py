"""kill -9 at every place that publishing has: the next process resumes, and readers never notice."""

from __future__ import annotations

import os
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pa_parquet
import pytest

from pipelines.lab.faults import Fault
from pipelines.lab.lives import Lives
from pipelines.sinks.ledger import read_flips

DRIVER = Path(__file__).with_name("chaos_driver.py")
DAY = date(2026, 1, 5)
NEXT = DAY + timedelta(days=1)

#: Where one life after the other is killed: the n-th time it passed a place. Each resumes what the one before left.
FIRST_LIVES = (
    ("after describe_table", 1),
    ("after describe_time_to_live", 1),
    ("after get_item", 1),
    ("after commit to ops/publish_rows", 1),  # a plan without a run
    ("after commit to ops/publish_runs", 1),  # a run without a version
    ("after commit to ops/publish_jobs", 1),  # the first chunk is announced
    ("after batch_write_item", 1),  # some of its items are in the table
)
#: The same, when the day was forecast again and other rows supersede those.
SECOND_LIVES = (
    ("after commit to ops/publish_rows", 1),  # what the old run did not send is given up
    ("after commit to ops/publish_runs", 1),  # it is closed, no new one is open
    ("after put_item", 1),  # a new run is open, and its version is known
    ("after commit to ops/publish_rows", 1),  # the fates of a chunk's items, but not that it is complete
    ("after commit to ops/publish_jobs", 2),  # it is complete
    ("after batch_write_item", 2),  # in the middle of the next chunk
    ("after batch_get_item", 1),  # all items were confirmed and some read back
    ("after put_item", 1),  # the version is complete and does not serve
    ("after put_item", 2),  # it serves, and no log says so
    ("after commit to ops/publish_flips", 1),  # the run is still open
    ("after commit to ops/publish_runs", 1),
)
#: The n-th requests, counted over all lives.
FAULTS = (
    Fault("throttle", "DescribeTable", (2,)),
    Fault("server_error", "DescribeTimeToLive", (1,)),
    Fault("drop_before", "GetItem", (1,)),
    Fault("drop_after", "PutItem", (1,)),
    Fault("throttle", "BatchWriteItem", (1, 2)),
    Fault("partial", "BatchWriteItem", (4, 5, 11)),
    Fault("drop_after", "BatchWriteItem", (6, 9)),
    Fault("drop_before", "BatchWriteItem", (8,)),
    Fault("server_error", "BatchWriteItem", (10,)),
    Fault("partial", "BatchGetItem", (3,)),
)


@pytest.mark.chaos
def test_killed_processes_are_resumed(bench: Any, tmp_path: Path) -> None:
    served = bench.publish(bench.rows(110))
    first, second = (tmp_path / name for name in ("first.parquet", "second.parquet"))
    pa_parquet.write_table(bench.rows(120, NEXT, shift=0.25), first)
    rows = bench.rows(120, NEXT, shift=0.5)
    pa_parquet.write_table(rows, second)
    place = bench.place
    environment = os.environ | {
        "PYTHONPATH": str(Path(__file__).parents[3]),
        "MILLRACE_VAR": str(bench.settings.var),
        "MILLRACE_DYNAMODB__TABLE": place.table,
        "MILLRACE_DYNAMODB__REGION": place.region,
        "MILLRACE_DYNAMODB__ENDPOINT_URL": place.endpoint_url,
        "MILLRACE_DYNAMODB__CREATE_TABLE": "true",
    }
    order = {"as_of": NEXT.isoformat(), "target": asdict(bench.target)}
    bench.proxy.use(*FAULTS)
    places: set[str] = set()
    with Lives(DRIVER, environment) as lives:
        for path, plan in ((first, FIRST_LIVES), (second, SECOND_LIVES)):
            for last, times in plan:
                life = lives.live(order | {"rows": str(path)}, last=last, times=times)
                assert (life.killed, life.places[-1:]) == (True, (last,)), life
                assert life.places.count(last) == times
                places.update(life.places)
                version = bench.reader.get_many(["sku_store#S0#K0000"]).pointer.version
                run = bench.ledger.newest()
                assert version in (served.run_id, run.run_id)
                assert run.counts().balanced
        whole = lives.live(order | {"rows": str(second)})
    assert not whole.error, whole.error
    places.update(whole.places)

    # There is no place at which no life ended, and nothing of the schedule did not happen.
    assert places == {place for place, _ in FIRST_LIVES + SECOND_LIVES}
    assert bench.proxy.injector.outstanding == []
    assert {fault.name for fault in FAULTS} == set(bench.proxy.faults)
    bench.proxy.use()

    report = whole.report
    assert (report["complete"], report["noop"]) == (True, True)
    assert (report["planned"], report["sent"], report["ok"]) == (120, 120, 120)
    assert (report["failed"], report["unknown"], report["dead"]) == (0, 0, 0)
    assert bench.keys(report["run_id"]) == sorted(rows["item_key"].to_pylist())
    found = bench.reader.get_many(rows["item_key"].to_pylist())
    assert found.pointer.version == report["run_id"]
    assert [float(found.found[key]["units"]) for key in rows["item_key"].to_pylist()] == rows[
        "units"
    ].to_pylist()
    assert found.pointer.revision == 2, "whatever was killed, the pointer moved once"
    flips = read_flips(bench.lake, "dynamodb", bench.target.object)
    assert flips["version"].to_list() == [served.run_id, report["run_id"]]
    fates = bench.ledger.newest().rows()
    assert fates["external_id"].n_unique() == fates.height == 120
