"""Run DAGs one after another in this process, as `airflow dags test` does; the last line printed is JSON.

Called by ``test_dag_runs.py`` with the runs as JSON: ``[["churn_score", "2025-07-07"], ...]``.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.dag_processing.dagbag import DagBag
from airflow.models.xcom import XComModel
from airflow.settings import Session

from pipelines.settings import Settings


def outcome(dag: Any, as_of: str) -> dict[str, Any]:
    """Run a DAG for a day; states, tries and what each task returned.

    What Airflow tries again, it tries at once: a task that fails must end as failed, not as a hung test.
    """
    for task in dag.tasks:
        task.retry_delay, task.retry_exponential_backoff = timedelta(seconds=1), False
    run = dag.test(run_conf={"as_of": as_of})
    with Session() as session:
        returned = session.query(XComModel).filter(
            XComModel.run_id == run.run_id, XComModel.dag_id == dag.dag_id
        )
        values = {row.task_id: row.value for row in returned if row.key == "return_value"}
        tasks = {
            task.task_id: {"state": str(task.state), "tries": task.try_number, "returned": values.get(task.task_id)}
            for task in run.get_task_instances(session=session)
        }  # fmt: skip
    return {"dag_id": dag.dag_id, "run_id": run.run_id, "state": str(run.state), "tasks": tasks}


def main(runs: list[list[str]]) -> None:
    logging.disable(logging.CRITICAL)
    bag = DagBag(dag_folder=Path(Settings.load().home) / "dags")
    done = [outcome(bag.dags[dag_id], as_of) for dag_id, as_of in runs]
    sys.stdout.write("\n" + json.dumps(done) + "\n")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
