"""Log of step runs: what ran for which day, how long it took and how it ended."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

from features.schemas import Column, DType, Table
from pipelines.io.lake import Lake
from pipelines.settings import Settings

STEP_RUNS = Table(
    name="ops/step_runs",
    description="Steps that ended. One row per run of a step.",
    columns=(
        Column("step_run_id", DType.STRING, "Random id."),
        Column("usecase", DType.STRING, "Use case."),
        Column("step", DType.STRING, "Step."),
        Column("as_of", DType.DATE, "Day of the decision."),
        Column("started_at", DType.TIMESTAMP, "Wall clock at the start (UTC).", unit="UTC"),
        Column("seconds", DType.NUMBER, "Wall time.", unit="s", minimum=0),
        Column("outcome", DType.STRING, "How it ended.", allowed=("ok", "failed")),
        Column("record_json", DType.STRING, "What the step returned, or the error in words."),
        Column("dag_run", DType.STRING, "Airflow's `dag_id/run_id`; null when run by hand.", nullable=True),
    ),
    key=("step_run_id",),
)


@contextmanager
def recording(
    settings: Settings, usecase: str, step: str, as_of: date
) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Time the block for ``ops/step_runs``; the yielded function takes the step's record. Errors are noted and raised."""
    records: list[dict[str, Any]] = []
    started_at, started = datetime.now(UTC).replace(tzinfo=None), time.monotonic()
    outcome, words = "failed", ""
    try:
        yield records.append
        outcome, words = "ok", json.dumps(records[0], default=str)
    except Exception as error:
        words = f"{type(error).__name__}: {error}"
        raise
    finally:
        row = {
            "step_run_id": uuid.uuid4().hex,
            "usecase": usecase,
            "step": step,
            "as_of": as_of,
            "started_at": started_at,
            "seconds": time.monotonic() - started,
            "outcome": outcome,
            "record_json": words,
            "dag_run": _dag_run(),
        }
        Lake.of(settings).append(STEP_RUNS, [row])


def _dag_run() -> str | None:
    """Read the ids that Airflow puts into the environment of a task."""
    dag_id, run_id = os.environ.get("AIRFLOW_CTX_DAG_ID"), os.environ.get("AIRFLOW_CTX_DAG_RUN_ID")
    return f"{dag_id}/{run_id}" if dag_id and run_id else None
