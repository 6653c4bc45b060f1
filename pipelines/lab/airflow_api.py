"""Thin client of Airflow's public REST API, for the local deployment: trigger a DAG, wait for it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import requests

from pipelines.errors import MillraceError

_TIMEOUT = 30.0

#: Tries of a call that the server fails on, and seconds before the second one: SQLite, the laptop's database,
#: refuses a writer that comes while another writes.
_TRIES, _PAUSE = 6, 0.5


@dataclass(frozen=True)
class DagRun:
    """A finished run: state and wall time from start to end."""

    dag_id: str
    run_id: str
    state: str
    seconds: float


class AirflowApi:
    """Client of a local API server.

    Parameters
    ----------
    base_url
        For instance ``http://127.0.0.1:8080``.
    """

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.session = requests.Session()
        self.session.trust_env = False  # loopback never goes through a proxy
        answer = self.session.get(f"{base_url}/auth/token", timeout=_TIMEOUT)
        answer.raise_for_status()
        self.session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Call an endpoint below ``/api/v2``; returns the decoded answer.

        A failure of the server is tried again. It undoes what it had begun, so a body that names what it makes is
        made once.

        Raises
        ------
        MillraceError
            The server refused the call, or failed each time.
        """
        url = f"{self.base_url}/api/v2{path}"
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(_PAUSE * 2 ** (attempt - 1))
            answer = self.session.request(method, url, json=body, timeout=_TIMEOUT)
            if answer.ok:
                return answer.json()
            if answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
                break
        raise MillraceError(f"Airflow answered {answer.status_code} to {method} {path}: {answer.text[:500]}")

    def has_dags(self, dag_ids: set[str]) -> bool:
        """Whether the DAG processor has parsed all of these."""
        found = self.call("GET", "/dags?limit=100")["dags"]
        return dag_ids <= {dag["dag_id"] for dag in found}

    def set_pool(self, name: str, slots: int, description: str) -> None:
        """Make a pool; one that exists keeps the slots that someone gave it."""
        if name not in {pool["name"] for pool in self.call("GET", "/pools?limit=100")["pools"]}:
            self.call("POST", "/pools", {"name": name, "slots": slots, "description": description})

    def unpause(self, dag_id: str) -> None:
        """Let the scheduler run a DAG."""
        self.call("PATCH", f"/dags/{dag_id}", {"is_paused": False})

    def trigger(self, dag_id: str, as_of: str) -> str:
        """Trigger a run for a day; returns the run id."""
        run_id = f"manual__{as_of}__{uuid.uuid4().hex[:12]}"
        body = {"dag_run_id": run_id, "logical_date": None, "conf": {"as_of": as_of}}
        return str(self.call("POST", f"/dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def asset_event(self, uri: str, as_of: str) -> None:
        """Announce that an asset was updated for a day; DAGs that wait for it run for that day."""
        found = self.call("GET", f"/assets?{urlencode({'uri_pattern': uri, 'limit': 100})}")["assets"]
        (asset,) = [asset for asset in found if asset["uri"].rstrip("/") == uri.rstrip("/")]
        self.call("POST", "/assets/events", {"asset_id": asset["id"], "partition_key": as_of})

    def runs(self, dag_id: str) -> list[str]:
        """Ids of the runs of a DAG."""
        return [
            run["dag_run_id"] for run in self.call("GET", f"/dags/{dag_id}/dagRuns?limit=100")["dag_runs"]
        ]

    def wait(
        self, dag_id: str, run_id: str, *, seconds: float, tick: Callable[[str], None] = lambda state: None
    ) -> DagRun:
        """Wait until a run ends.

        Raises
        ------
        MillraceError
            It failed (the message names the failed tasks) or did not end in time.
        """
        end = time.monotonic() + seconds
        while True:
            run = self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}")
            tick(run["state"])
            if run["state"] == "success":
                return DagRun(dag_id, run_id, run["state"], _span(run["start_date"], run["end_date"]))
            if run["state"] == "failed":
                tasks = self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances")["task_instances"]
                failed = [task["task_id"] for task in tasks if task["state"] == "failed"]
                raise MillraceError(
                    f"{dag_id} run {run_id} failed in {failed}; see its log below var/airflow/logs"
                )
            if time.monotonic() > end:
                raise MillraceError(f"{dag_id} run {run_id} is still {run['state']} after {seconds:.0f} s")
            time.sleep(0.5)


def _span(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
