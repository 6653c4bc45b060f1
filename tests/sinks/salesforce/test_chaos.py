"""Everything goes wrong: drops, errors, locks, failing jobs, expiry, and kill -9 at every place that publishing has."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pa_parquet
import pytest

from pipelines.lab.emulator import Fault
from pipelines.lab.emulator.app import REQUEST_FAULTS
from pipelines.lab.emulator.jobs import JOB_FAULTS
from pipelines.lab.lives import Lives
from pipelines.sinks.fold import published
from pipelines.sinks.ledger_tables import RunState

DRIVER = Path(__file__).with_name("chaos_driver.py")

#: Where one life after the other is killed: the n-th time it passed a place. Each resumes what the one before left.
FIRST_LIVES = (
    ("after POST Soap/u/62.0", 1),  # logged in
    ("after GET sobjects/Churn_Score__c/describe", 1),
    ("after GET sobjects/Account/describe", 1),
    ("after GET limits/", 1),
    ("after commit to ops/publish_rows", 1),  # a plan without a run
    ("after commit to ops/publish_runs", 1),  # a run of which nothing was sent
    ("after POST ingest", 1),  # a job that no ledger knows
    ("after GET ingest", 1),  # that job was found, and a second one like it made
    ("after PATCH ingest/*", 1),  # one of the two was aborted
    ("after commit to ops/publish_jobs", 1),  # the ledger knows a job without data
    ("after PUT ingest/*/batches", 1),  # data was uploaded into the next job, which is open
    ("after PATCH ingest/*", 2),  # that one was aborted; the next was closed, and Salesforce works on it
    ("after GET ingest/*", 1),
)
#: The same, when the day was scored again and other rows supersede those.
SECOND_LIVES = (
    ("after GET ingest/*/successfulResults", 1),
    ("after GET ingest/*/failedResults", 1),
    ("after GET ingest/*/unprocessedrecords", 1),
    ("after commit to ops/publish_rows", 1),  # the fates of a job's rows, but not that it is complete
    ("after commit to ops/publish_jobs", 1),  # the old run is settled
    ("after commit to ops/publish_rows", 1),  # what it did not send is given up
    ("after commit to ops/publish_runs", 1),  # it is closed, no new one is open
    ("after commit to ops/publish_runs", 1),  # a new one is open
    ("after commit to ops/publish_jobs", 2),  # it sent its first chunk
    ("after GET query/", 1),  # everything is sent and read back
    ("after commit to ops/publish_runs", 1),  # the new run is closed
)
#: The n-th requests, counted over all lives. What happens to jobs happens in the life that sends nearly all chunks.
FAULTS = (
    Fault("drop_before", "login", (2,)),
    Fault("drop_after", "login", (4,)),
    Fault("truncate", "login", (6,)),
    Fault("unavailable", "login", (8,)),
    Fault("server_error", "login", (10,)),
    Fault("request_limit", "login", (12,)),
    Fault("truncate", "describe", (2,)),
    Fault("expire_session", "describe", (5,)),
    Fault("drop_after", "limits", (1,)),
    Fault("drop_before", "bulk.list", (1,)),
    Fault("server_error", "bulk.info", (1,)),
    Fault("truncate", "bulk.info", (2,)),
    Fault("unavailable", "bulk.results", (1,)),
    Fault("truncate", "bulk.results", (3,)),
    Fault("expire_session", "bulk.results", (12,)),
    Fault("drop_after", "bulk.create", (8,)),
    Fault("server_error", "bulk.create", (10,)),
    Fault("request_limit", "bulk.create", (12,)),
    Fault("drop_before", "bulk.upload", (6,)),
    Fault("drop_after", "bulk.upload", (8,)),
    Fault("expire_session", "bulk.upload", (10,)),
    Fault("drop_before", "bulk.state", (10,)),
    Fault("drop_after", "bulk.state", (12,)),
    Fault("unavailable", "query", (1,)),
    Fault("lock_row", "job", (3, 5), rows=(0, 7, 24)),
    Fault("fail_job", "job", (4,), rows=(11,)),
    Fault("fail_job", "job", (6,), rows=(0,)),
)


def rescored(rows: pa.Table) -> pa.Table:
    """Half of the rows get another score, as after a model was replaced on the same day."""
    at = rows.column_names.index("Score__c")
    odd = pc.equal(pc.bit_wise_and(rows["Rank__c"], 1), 1)
    return rows.set_column(at, "Score__c", pc.if_else(odd, pc.add(rows["Score__c"], 0.05), rows["Score__c"]))


def expected(rows: pa.Table) -> dict[str, dict[str, Any]]:
    fields = [name for name in rows.column_names if "." not in name]
    return {row["External_Id__c"]: {f: _plain(row[f]) for f in fields} for row in rows.to_pylist()}


def _plain(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return round(float(value), 4) if isinstance(value, int | float) else value


@pytest.mark.chaos
def test_publish_survives_faults_and_kills(bench: Any, tmp_path: Path) -> None:
    bench.publish(bench.rows(240), max_chunk_rows=100)
    next_week = bench.day + timedelta(days=7)
    # 30 accounts leave, 60 come, all others change; later the day is scored again.
    first, second = (tmp_path / name for name in ("first.parquet", "second.parquet"))
    wanted = bench.rows(270, next_week, 0.01, first=30)
    pa_parquet.write_table(wanted, first)
    wanted = rescored(wanted)
    pa_parquet.write_table(wanted, second)
    order = {
        "as_of": next_week.isoformat(),
        "object": bench.target.object,
        "external_id_field": bench.target.external_id_field,
        "fields": dict(bench.target.fields),
        "sort_by": bench.target.sort_by,
        "max_chunk_rows": 25,
    }
    login = bench.settings.salesforce
    environment = os.environ | {
        "PYTHONPATH": str(Path(__file__).parents[3]),
        "MILLRACE_VAR": str(bench.settings.var),
        "MILLRACE_SALESFORCE__USERNAME": login.username,
        "MILLRACE_SALESFORCE__PASSWORD": login.password.get_secret_value(),
        "MILLRACE_SALESFORCE__SECURITY_TOKEN": login.security_token.get_secret_value(),
        "MILLRACE_SALESFORCE__INSTANCE": login.instance,
        "MILLRACE_SALESFORCE__CA_BUNDLE": str(login.ca_bundle),
    }
    bench.org.faults = FAULTS
    places: set[str] = set()
    with Lives(DRIVER, environment) as lives:
        for rows, plan in ((first, FIRST_LIVES), (second, SECOND_LIVES)):
            for last, times in plan:
                life = lives.live(order | {"rows": str(rows)}, last=last, times=times)
                assert (life.killed, life.places[-1:]) == (True, (last,)), life
                assert life.places.count(last) == times
                places.update(life.places)
        whole = lives.live(order | {"rows": str(second)})
    assert not whole.error, whole.error
    places.update(whole.places)

    # There is no place at which no life ended, and nothing of the schedule did not happen.
    assert places == {place for place, _ in FIRST_LIVES + SECOND_LIVES}
    assert bench.org.outstanding == []
    assert {fault.name for fault in FAULTS} == {*REQUEST_FAULTS, *JOB_FAULTS} - {"silence"}
    bench.org.faults = ()

    report = whole.report
    assert (report["complete"], report["noop"], report["balanced"]) == (True, True, True)
    assert (report["sent"], report["unknown"], report["dead"]) == (report["ok"], 0, 0)

    held = bench.held()
    want = expected(wanted)
    assert set(held) == set(want)
    assert {key: {f: _plain(held[key][f]) for f in row} for key, row in want.items()} == want

    # Nothing was processed twice: no payload of any record, and no delete, succeeded more than once.
    audit = bench.org.audit(bench.target.object)
    assert [row for row in audit if row.ok > 1] == []

    # The ledger knows exactly what Salesforce holds, every run has ended, every run balances.
    run = bench.ledger.newest()
    holds = published(run.rows())
    assert dict(holds.select("external_id", "remote_id").iter_rows()) == {k: r["Id"] for k, r in held.items()}
    runs = bench.ledger.runs()
    assert set(runs["state"]) <= {RunState.FINISHED, RunState.SUPERSEDED}
    assert (runs["sent"] == runs["ok"] + runs["failed"] + runs["unknown"]).all()
