"""Steps of the use cases as Airflow tasks, all in one way."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Asset, task

from pipelines.orchestration.defaults import AS_OF
from pipelines.orchestration.notifications import notify_alarms


def step_task(
    usecase: str,
    step: str,
    *,
    makes: Asset | None = None,
    options: dict[str, Any] | None = None,
    **arguments: Any,
) -> Any:
    """Task that runs one step of a use case for the run's ``as_of``; its id is the step's name.

    Parameters
    ----------
    makes
        Asset that the step updates; its event carries ``as_of`` to the DAGs it triggers.
    options
        Passed to the step.
    arguments
        Passed to Airflow's task, for instance ``pool`` or ``inlets``.
    """

    @task(task_id=step, outlets=[makes] if makes else None, **arguments)
    def run(as_of: str, *, outlet_events: Any = None) -> dict[str, Any]:
        from pipelines.usecase import run_step

        record = run_step(usecase, step, as_of, **(options or {}))
        if makes:
            outcome = {"outcome": record["outcome"]} if "outcome" in record else {}
            outlet_events[makes].extra = {"as_of": as_of, **outcome}
        notify_alarms(record.get("alarms", []))
        return record

    return run(as_of=AS_OF)
