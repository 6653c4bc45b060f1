"""The ingest calls of Bulk API 2.0, one method each; the order of calls is the publisher's."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import polars as pl
import requests

from pipelines.errors import SinkError
from pipelines.sinks.errors import RemoteError
from pipelines.sinks.salesforce.connection import Connection

_LOG = logging.getLogger(__name__)


class RemoteState(StrEnum):
    """States of a job in Salesforce."""

    OPEN = "Open"
    UPLOAD_COMPLETE = "UploadComplete"
    IN_PROGRESS = "InProgress"
    JOB_COMPLETE = "JobComplete"
    FAILED = "Failed"
    ABORTED = "Aborted"


#: States from which a job no longer moves.
ENDED = (RemoteState.JOB_COMPLETE, RemoteState.FAILED, RemoteState.ABORTED)

#: What our jobs look like; together with user and object the mark by which strays are recognised.
_FORMAT = {"contentType": "CSV", "lineEnding": "CRLF", "columnDelimiter": "COMMA"}


@dataclass(frozen=True)
class BulkIngest:
    """Ingest jobs of one object, whose upserts match on an external id field."""

    connection: Connection
    object: str
    external_id_field: str

    def create(self, operation: str) -> dict[str, Any]:
        """Create a job (not repeatable: an unanswered try may leave a stray job)."""
        job = {"object": self.object, "operation": operation, **_FORMAT}
        if operation == "upsert":
            job["externalIdFieldName"] = self.external_id_field
        url = self.connection.bulk_url
        return _object_of(self.connection.send("POST", url, repeatable=False, data=json.dumps(job)))

    def upload(self, job_id: str, data: bytes) -> None:
        """Upload the file; Salesforce takes only one per job, so this is not repeatable."""
        self.connection.send(
            "PUT",
            self._url(job_id, "/batches"),
            repeatable=False,
            headers={"Content-Type": "text/csv; charset=UTF-8"},
            data=data,
        )

    def close(self, job_id: str) -> RemoteState:
        """Tell Salesforce to start; returns the state seen afterwards."""
        return self._move(job_id, RemoteState.UPLOAD_COMPLETE)

    def abort(self, job_id: str) -> RemoteState:
        """Abort a job; returns the state seen afterwards, ``Aborted`` if that worked."""
        return self._move(job_id, RemoteState.ABORTED)

    def info(self, job_id: str) -> dict[str, Any] | None:
        """Describe a job; None if Salesforce no longer knows it (it forgets after seven days)."""
        found: dict[str, Any] | None = self.connection.find(self._url(job_id))
        return found

    def results(self, job_id: str, kind: str, columns: dict[str, str]) -> pl.DataFrame:
        """Read one of the three result files of a job, in the ``columns`` of the file, by the new names given for them.

        ``kind`` is ``successfulResults``, ``failedResults`` or ``unprocessedrecords``.
        """
        body = self.connection.get(self._url(job_id, f"/{kind}"), accept="text/csv").content
        if not body.strip():
            return pl.DataFrame(schema=dict.fromkeys(columns.values(), pl.String))
        frame = pl.read_csv(body, infer_schema=False, empty_string_is_null=False)
        missing = [name for name in columns if name not in frame.columns]
        if missing:
            raise SinkError(f"{kind} of job {job_id} must have the columns {missing}, got {frame.columns}")
        return frame.select(pl.col(name).alias(alias) for name, alias in columns.items())

    def strays(self, *, created_by: str, created_after: str, known: set[str]) -> Iterator[str]:
        """Find open jobs that we made but whose id was never written down.

        Bulk API 2.0 jobs carry no free text, so a job counts as ours only if *everything* fits: our
        user, object, operation and external id field, our file format, still open, made since the run
        began, and unknown to the ledger. An open job has processed nothing, so aborting one loses
        nothing that its maker cannot send again.
        """
        page = self.connection.get(self.connection.bulk_url, params={"jobType": "V2Ingest"}).json()
        while True:
            for job in page["records"]:
                ours = (
                    job.get("state") == RemoteState.OPEN
                    and job.get("object") == self.object
                    and job.get("operation") in ("upsert", "delete")
                    and job.get("externalIdFieldName") in (self.external_id_field, None)
                    and job.get("createdById") == created_by
                    and str(job.get("createdDate", "")) >= created_after
                    and all(job.get(name, value) == value for name, value in _FORMAT.items())
                )
                if ours and job["id"] not in known:
                    yield str(job["id"])
            if page.get("done", True) or not page.get("nextRecordsUrl"):
                return
            page = self.connection.get(page["nextRecordsUrl"]).json()

    def _move(self, job_id: str, state: RemoteState) -> RemoteState:
        """Ask for a state; if the answer is lost, look up the state."""
        try:
            answer = self.connection.send(
                "PATCH", self._url(job_id), repeatable=True, data=json.dumps({"state": state.value})
            )
            return RemoteState(_object_of(answer)["state"])
        except RemoteError as error:
            # A first try whose answer was lost makes the second one illegal: look before judging.
            info = self.info(job_id)
            if info is None or info["state"] == RemoteState.OPEN:
                raise
            _LOG.info("job %s is %s already (%s)", job_id, info["state"], error.code)
            return RemoteState(info["state"])

    def _url(self, job_id: str, suffix: str = "") -> str:
        return f"{self.connection.bulk_url}/{job_id}{suffix}"


def _object_of(response: requests.Response) -> dict[str, Any]:
    answer = response.json()
    if not isinstance(answer, dict):
        raise SinkError(f"expected a JSON object from Salesforce, got {type(answer).__name__}")
    return answer
