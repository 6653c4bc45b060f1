"""The ledger on a real lake: runs exist when they are whole, and the books are checked when they close."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from features.schemas import Table
from pipelines.errors import SinkError
from pipelines.io.lake import Lake
from pipelines.sinks import ledger as module
from pipelines.sinks.ledger import Ledger, RunLedger, dead_letters, run_key
from pipelines.sinks.ledger_tables import JOBS, ROWS, RUNS, RunState

DAY = date(2025, 1, 6)
KEY = "0" * 32


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(Lake(tmp_path / "lake"), "salesforce", "O__c")


def planned(*names: str, **more: Any) -> pl.DataFrame:
    base = {"operation": "upsert", "state": "planned", "attempt": 1, "chunk": 0, "payload_hash": "h"}
    return pl.DataFrame([base | more | {"external_id": name} for name in names])


def answered(run: RunLedger, **states: str) -> None:
    event = {"chunk": 0, "attempt": 1, "operation": "upsert", "rows": len(states), "job_id": "j"}
    run.record_jobs(pl.DataFrame([event | {"state": "created"}]))
    outcome = {"operation": "upsert", "attempt": 1, "chunk": 0, "payload_hash": "h", "job_id": "j"}
    run.record_rows(
        pl.DataFrame(
            [
                outcome
                | {"external_id": name, "state": state, "remote_id": f"r-{name}"}
                | (
                    {"code": "BAD", "message": "BAD:value"}
                    if state == "dead"
                    else {"code": None, "message": None}
                )
                for name, state in states.items()
            ],
            infer_schema_length=None,
        )
    )
    ok = sum(state == "ok" for state in states.values())
    tally = {"ok": ok, "failed": len(states) - ok, "unprocessed": 0}
    run.record_jobs(pl.DataFrame([event | {"state": "complete"} | tally]))


def start(ledger: Ledger, rows: pl.DataFrame, day: date = DAY, key: str = KEY) -> RunLedger:
    return ledger.start(as_of=day, key=key, forced=False, rows=rows)


def test_a_run_goes_from_plan_to_balanced_end(ledger: Ledger) -> None:
    run = start(ledger, planned("a", "b"))
    answered(run, a="ok", b="dead")
    counts = run.close(RunState.FINISHED)
    assert (counts.planned, counts.sent, counts.ok, counts.failed, counts.dead) == (2, 2, 1, 1, 1)
    stored = ledger.runs().row(0, named=True)
    assert {name: stored[name] for name in vars(counts)} == vars(counts)
    assert (stored["state"], stored["jobs"]) == ("finished", 1)
    assert ledger.published()["external_id"].to_list() == ["a"]
    letters = dead_letters(ledger.lake, "salesforce", "O__c")
    assert letters.select("external_id", "code", "message").rows() == [("b", "BAD", "BAD:value")]


def test_a_run_whose_start_was_cut_short_does_not_exist(ledger: Ledger, monkeypatch: Any) -> None:
    first = start(ledger, planned("a"))
    answered(first, a="ok")
    first.close(RunState.FINISHED)

    append = Lake.append

    def die(lake: Lake, table: Table, rows: Any) -> None:
        if table is RUNS:
            raise KeyboardInterrupt
        append(lake, table, rows)

    with monkeypatch.context() as patch:
        patch.setattr(Lake, "append", die)
        with pytest.raises(KeyboardInterrupt):
            start(ledger, planned("a", "b", payload_hash="other"))
    newest = ledger.newest()
    assert newest is not None
    assert newest.run_id == first.run_id
    assert ledger.published()["hash"].to_list() == ["h"]
    again = start(ledger, planned("b"))
    assert again.run_no == 2
    assert again.rows()["external_id"].to_list() == ["b"]


def test_a_handle_opened_later_continues_the_order_of_events(ledger: Ledger) -> None:
    start(ledger, planned("a"))
    later = ledger.newest()
    assert later is not None
    answered(later, a="failed")
    latest = ledger.newest()
    assert latest is not None
    assert latest.rows()["state"].to_list() == ["failed"]
    answered(latest, a="ok")
    assert latest.rows()["state"].to_list() == ["ok"]


def test_a_run_that_does_not_balance_cannot_be_closed(ledger: Ledger) -> None:
    run = start(ledger, planned("a", "b"))
    answered(run, a="ok")
    with pytest.raises(SinkError, match=r"does not balance.*'b'"):
        run.close(RunState.FINISHED)
    newest = ledger.newest()
    assert newest is not None
    assert newest.state is RunState.OPEN


def test_objects_and_sinks_do_not_see_each_other(ledger: Ledger) -> None:
    run = start(ledger, planned("a"), day=date(2025, 1, 13))
    other = Ledger(ledger.lake, "dynamodb", "O__c")
    assert (other.newest(), other.newest_as_of(), other.published().height) == (None, None, 0)
    start(other, planned("z"))
    newest = ledger.newest()
    assert newest is not None
    assert newest.run_id == run.run_id
    assert ledger.newest_as_of() == date(2025, 1, 13)
    assert dead_letters(ledger.lake, "dynamodb", "none").height == 0


def test_small_files_are_compacted_without_losing_an_event(ledger: Ledger, monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "_COMPACT_ABOVE", 2)
    run = start(ledger, planned("a", "b"))
    answered(run, a="failed", b="ok")
    answered(run, a="ok", b="ok")
    run.close(RunState.FINISHED)
    run = start(ledger, planned("c"))
    answered(run, c="ok")
    run.close(RunState.FINISHED)
    assert max(len(ledger.lake.files(table.name)) for table in (RUNS, JOBS, ROWS)) <= 2
    assert ledger.lake.read(ROWS).num_rows == 2 + 2 + 2 + 1 + 1
    assert ledger.runs()["state"].to_list() == ["finished", "finished"]


def test_run_key_depends_on_content_not_on_order() -> None:
    rows = pl.DataFrame({"external_id": ["a", "b"], "payload_hash": ["1", "2"]})
    key = run_key("s", "o", DAY, rows, "delete")
    assert run_key("s", "o", DAY, rows.reverse(), "delete") == key
    swapped = rows.with_columns(pl.col("payload_hash").reverse())
    others = [
        run_key("s", "o", DAY, swapped, "delete"),
        run_key("s", "o", DAY, rows, "keep"),
        run_key("s", "o", date(2025, 1, 7), rows, "delete"),
        run_key("s", "p", DAY, rows, "delete"),
        run_key("s", "o", DAY, rows.clear(), "delete"),
    ]
    assert len({key, *others}) == 6
