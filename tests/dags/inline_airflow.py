"""Airflow in one process: its real scheduler, and an executor that runs each task where it stands.

A task is executed as by `airflow dags test`, so that libraries are imported once and not once per task. Everything
else, which runs start for what and in which order, with which pools and limits, is the scheduler's own doing.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from airflow.api.common.trigger_dag import trigger_dag
from airflow.assets.manager import AssetManager
from airflow.callbacks.database_callback_sink import DatabaseCallbackSink
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
from airflow.executors.base_executor import BaseExecutor
from airflow.executors.workloads import ExecuteTask
from airflow.jobs.job import Job
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
from airflow.models import DagRun
from airflow.models.asset import AssetModel
from airflow.models.pool import Pool
from airflow.sdk.api.datamodels._generated import TaskInstance
from airflow.sdk.execution_time.supervisor import run_task_in_process
from airflow.utils.session import create_session
from airflow.utils.types import DagRunTriggeredByType
from sqlalchemy import select

from pipelines.errors import MillraceError
from pipelines.lab.airflow_api import AirflowApi
from pipelines.lab.airflow_api import DagRun as Finished
from pipelines.lab.local import POOLS

#: Rounds of the scheduler without a change after which nothing will move.
MOST_IDLE_TICKS = 200


class InlineExecutor(BaseExecutor):
    """Runs a task at once, in this process."""

    is_local = True

    def __init__(self, bag: BundleDagBag) -> None:
        super().__init__(parallelism=1)
        self.bag = bag

    def _process_workloads(self, workload_items: Sequence[Any]) -> None:
        for workload in workload_items:
            assert isinstance(workload, ExecuteTask)
            self.queued_tasks.pop(workload.ti.key)
            # Of a copy: the parameters of a run stay in the task that it read them from, and a copy of it shares them.
            task = deepcopy(self.bag.dags[workload.ti.dag_id]).get_task(workload.ti.task_id)
            task.params = deepcopy(task.params)
            fields = TaskInstance.model_fields
            instance = TaskInstance(**{k: v for k, v in workload.ti.model_dump().items() if k in fields})
            done = run_task_in_process(ti=instance, task=task)
            self.change_state(workload.ti.key, done.ti.state)


class InlineAirflow(AirflowApi):
    """What a client of Airflow's API sees of a scheduler that moves on whenever the client looks."""

    def __init__(self, dags: Path) -> None:
        manager = DagBundlesManager()
        with create_session() as session:
            manager.sync_bundles_to_db(session=session)
        [bundle] = manager.get_all_dag_bundles()
        bundle.initialize()
        self.bag = BundleDagBag(dag_folder=dags, bundle_path=dags, bundle_name=bundle.name)
        assert not self.bag.import_errors, self.bag.import_errors
        sync_bag_to_db(self.bag, bundle.name, bundle.version)
        with create_session() as session:
            for name, (slots, why) in POOLS.items():
                Pool.create_or_update_pool(name, slots, why, include_deferred=False, session=session)
            job = Job()
            session.add(job)
        self.executor = InlineExecutor(self.bag)
        self.executor.callback_sink = DatabaseCallbackSink()
        self.runner = SchedulerJobRunner(job=job, executors=[self.executor])

    def tick(self) -> None:
        """Go once through the scheduler's loop: start runs, run what is due, take note of how it ended."""
        with create_session() as session:
            self.runner._do_scheduling(session)
            session.expunge_all()
        self.executor.heartbeat()
        with create_session() as session:
            self.runner._process_executor_events(executor=self.executor, session=session)

    def trigger(self, dag_id: str, as_of: str) -> str:
        """Trigger a run for a day; returns the run id."""
        run_id = f"manual__{as_of}__{uuid.uuid4().hex[:12]}"
        trigger_dag(dag_id, run_id=run_id, conf={"as_of": as_of}, triggered_by=DagRunTriggeredByType.REST_API)
        return run_id

    def asset_event(self, uri: str, as_of: str) -> None:
        """Announce that an asset was updated for a day."""
        with create_session() as session:
            asset = session.scalars(select(AssetModel).where(AssetModel.uri == uri)).one()
            AssetManager.register_asset_change(
                asset=asset, partition_key=as_of, source_is_api=True, session=session
            )

    def runs(self, dag_id: str) -> list[str]:
        """Ids of the runs of a DAG."""
        self.tick()
        return [run["run_id"] for run in self.all_runs() if run["dag_id"] == dag_id]

    def wait(
        self, dag_id: str, run_id: str, *, seconds: float, tick: Callable[[str], None] = lambda state: None
    ) -> Finished:
        """Run until a run ends.

        Raises
        ------
        MillraceError
            It failed, or waits for another try.
        """
        started = time.monotonic()
        while True:
            self.tick()
            [run] = [run for run in self.all_runs() if (run["dag_id"], run["run_id"]) == (dag_id, run_id)]
            broken = [name for name, state in run["tasks"].items() if state in ("failed", "up_for_retry")]
            if run["state"] == "failed" or broken:
                raise MillraceError(f"{dag_id} run {run_id} failed in {broken}")
            if run["state"] == "success":
                return Finished(dag_id, run_id, "success", time.monotonic() - started)
            if time.monotonic() > started + seconds:
                raise MillraceError(f"{dag_id} run {run_id} is still {run['state']} after {seconds:.0f} s")

    def settle(self) -> None:
        """Run until nothing is queued or runs.

        Raises
        ------
        MillraceError
            Nothing moves any more, for instance because a DAG is paused.
        """
        self.tick()
        seen, idle = self.all_runs(), 0
        while {run["state"] for run in seen} & {"queued", "running"}:
            self.tick()
            before, seen = seen, self.all_runs()
            idle = idle + 1 if seen == before else 0
            if idle == MOST_IDLE_TICKS:
                raise MillraceError(f"nothing moves any more: {seen}")

    def all_runs(self) -> list[dict[str, Any]]:
        """Every run in the order in which it was made, with the states of its tasks."""
        with create_session() as session:
            return [
                {
                    "dag_id": run.dag_id,
                    "run_id": run.run_id,
                    "partition": run.partition_key,
                    "state": str(run.state),
                    "tasks": {ti.task_id: str(ti.state) for ti in run.get_task_instances(session=session)},
                }
                for run in session.scalars(select(DagRun).order_by(DagRun.id))
            ]
