"""Every day that landed is completed, or named."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from features.schemas import Column, DType, Table
from pipelines.io.lake import Lake
from pipelines.io.runs import STEP_RUNS
from pipelines.monitoring.completeness import WINDOW, Lost, hand_overs

DAY = date(2025, 6, 2)
STEPS = ("prepare", "train", "gate", "score", "monitor", "publish", "report")
ARRIVED = Table("raw/arrived", "Rows.", (Column("known_at", DType.TIMESTAMP, "Known."),), ("known_at",))


def ran(lake: Lake, *runs: tuple[str, int, str]) -> None:
    """Log steps that ran: step, days back, and ``ok`` or the error."""
    rows: list[dict[str, Any]] = [
        {
            "step_run_id": f"{step}{back}{number}",
            "usecase": "any",
            "step": step,
            "as_of": DAY - timedelta(days=back),
            "started_at": datetime.combine(DAY, time(6, number)),
            "seconds": 1.0,
            "outcome": "ok" if words == "ok" else "failed",
            "record_json": "{}" if words == "ok" else words,
            "dag_run": None,
        }
        for number, (step, back, words) in enumerate(runs)
    ]
    lake.append(STEP_RUNS, pa.Table.from_pylist(rows, schema=STEP_RUNS.arrow_schema))


def test_a_day_that_nothing_took_over_is_named(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    ran(
        lake,
        ("score", 2, "ok"),
        ("score", 1, "ok"),
        ("score", 0, "ok"),
        ("publish", 2, "ok"),
        ("publish", 0, "ok"),
    )
    [scores] = hand_overs(lake, "any", STEPS, DAY)
    assert (scores.upstream, scores.downstream) == ("score", "publish")
    assert (scores.landed, scores.completed) == (3, 2)
    assert scores.lost == scores.untried == (Lost(DAY - timedelta(days=1), ""),)


def test_a_day_that_failed_tells_its_last_error_and_one_that_succeeded_later_is_complete(
    tmp_path: Path,
) -> None:
    lake = Lake(tmp_path)
    ran(
        lake, ("score", 1, "ok"), ("score", 0, "ok"), ("publish", 1, "SinkError: first"),
        ("publish", 1, "SinkError: second"), ("publish", 0, "SinkError: down"), ("publish", 0, "ok"),
        ("publish", 0, "SinkError: again, for nothing"),
    )  # fmt: skip
    [scores] = hand_overs(lake, "any", STEPS, DAY)
    assert scores.lost == (Lost(DAY - timedelta(days=1), "SinkError: second"),)
    assert scores.untried == (), "a failed step tells of it"


def test_features_are_for_training_or_for_scoring(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    ran(
        lake,
        *[("prepare", back, "ok") for back in range(3)],
        ("train", 2, "ok"),
        ("gate", 2, "ok"),
        ("score", 1, "ok"),
    )
    found = {one.upstream: one for one in hand_overs(lake, "any", STEPS, DAY)}
    assert [lost.day for lost in found["prepare"].lost] == [DAY]
    assert found["prepare"].downstream == "train or score"
    assert found["train"].lost == ()


def test_a_use_case_that_publishes_nothing_is_complete_when_it_was_monitored(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    ran(lake, ("score", 1, "ok"), ("score", 0, "ok"), ("monitor", 1, "ok"))
    [scores] = hand_overs(lake, "any", [step for step in STEPS if step != "publish"], DAY)
    assert (scores.downstream, [lost.day for lost in scores.lost]) == ("monitor", [DAY])


def test_arrived_rows_are_due_the_next_morning(tmp_path: Path) -> None:
    """From the first scored day on; rows known today are due tomorrow."""
    lake = Lake(tmp_path)
    known = [datetime.combine(DAY, time(14)) - timedelta(days=back) for back in (9, 4, 3, 2, 1, 0)]
    lake.append(ARRIVED, pa.table({"known_at": known}, schema=ARRIVED.arrow_schema))
    arrivals = [("raw/arrived", "known_at")]
    assert hand_overs(lake, "any", STEPS, DAY, arrivals=arrivals) == [], "nothing was scored yet"
    ran(lake, ("score", 3, "ok"), ("score", 1, "ok"), ("monitor", 3, "ok"), ("monitor", 1, "ok"))
    *_, arrived = hand_overs(lake, "any", ["score", "monitor"], DAY, arrivals=arrivals)
    assert (arrived.upstream, arrived.landed) == ("raw/arrived", 4)
    assert [lost.day for lost in arrived.lost] == [DAY - timedelta(days=2), DAY]


@pytest.mark.parametrize("missing", ["an empty lake", "another use case", "long ago", "a later day"])
def test_nothing_landed(tmp_path: Path, missing: str) -> None:
    lake = Lake(tmp_path)
    if missing != "an empty lake":
        back = {"another use case": 0, "long ago": WINDOW.days, "a later day": -1}[missing]
        ran(lake, ("score", back, "ok"))
    usecase = "other" if missing == "another use case" else "any"
    assert hand_overs(lake, usecase, STEPS, DAY, arrivals=[("raw/none", "known_at")]) == []
