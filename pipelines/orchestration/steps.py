"""The steps of the use cases as Airflow tasks."""

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
    """Return a task that runs one step of a use case for the run's ``as_of``; its id is the step's name.

    ``makes`` is the asset that the step updates. Its event names the day as its partition, so the DAGs that
    wait for the asset run for that day. ``options`` are the step's; ``arguments`` are those of Airflow's task,
    such as ``pool``.
    """

    @task(task_id=step, outlets=[makes] if makes else None, **arguments)
    def run(as_of: str, *, outlet_events: Any = None) -> dict[str, Any]:
        from pipelines.steps import Options, run_step

        record = run_step(usecase, step, as_of, options=Options(**(options or {})))
        if makes:
            outlet_events[makes].add_partitions(as_of)
            if "outcome" in record:
                outlet_events[makes].extra = {"outcome": record["outcome"]}
        notify_alarms(record.get("alarms", []))
        return record

    return run(as_of=AS_OF)


def announce_task(asset: Asset) -> Any:
    """Return a task that announces that an asset was updated for the run's ``as_of``, and does nothing else."""

    @task(task_id="announce", outlets=[asset])
    def run(as_of: str, *, outlet_events: Any = None) -> None:
        outlet_events[asset].add_partitions(as_of)

    return run(as_of=AS_OF)
