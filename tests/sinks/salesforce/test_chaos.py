"""Everything goes wrong at once: drops, errors, locks, failing jobs, expiry, and kill -9."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pa_parquet
import pytest

from pipelines.lab.emulator import Faults
from pipelines.sinks.fold import published
from pipelines.sinks.ledger_tables import RunState

DRIVER = Path(__file__).with_name("chaos_driver.py")
KILLS = 20
SEED = 20250113
FAULTS = Faults(
    seed=SEED,
    drop_before=0.02,
    drop_after=0.02,
    truncate=0.02,
    unavailable=0.02,
    server_error=0.02,
    request_limit=0.02,
    expire_session=0.03,
    slow=0.02,
    slow_seconds=0.02,
    lock_row=0.03,
    fail_job=0.10,
)


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
        return subprocess.Popen(
            [sys.executable, str(DRIVER)],
            env=self._environment,
            text=True,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
        )

    def run(self, order: dict[str, Any]) -> tuple[int, str, str]:
        process, self._ready = self._ready, self._spawn()
        output, errors = process.communicate(json.dumps(order) + "\n", timeout=60)
        return process.returncode, output, errors


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
    config = {
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
    draw = random.Random(SEED)
    killed, outages, report = 0, 0, None
    places: set[str] = set()
    with Drivers(environment) as drivers:
        while report is None:
            # The first nine lives work for the first rows, the others for the second.
            order = config | {"rows": str(first if killed < 9 else second)}
            returncode, output, errors = drivers.run(
                order | {"kill_at": draw.randint(4, 60) if killed < KILLS else 0}
            )
            if returncode == -signal.SIGKILL:
                killed += 1
                places.add(errors.splitlines()[-1])
            elif returncode == 5:  # more faults in a row than the bounded retries bear
                outages += 1
                assert outages < 30, errors
            else:
                assert returncode == 0, errors
                if killed >= KILLS:
                    report = json.loads(output)
    injected = bench.org.injected
    bench.org.faults = Faults()

    assert killed == KILLS
    assert len(places) >= 10, places  # the kills hit many different places
    kinds = ("drop_before", "drop_after", "server_error", "expire_session", "lock_row", "fail_job")
    assert all(injected.get(kind) for kind in kinds), injected
    assert report["complete"]
    assert report["balanced"]
    assert (report["unknown"], report["dead"]) == (0, 0)

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
