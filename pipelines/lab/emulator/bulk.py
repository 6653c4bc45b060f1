"""Bulk API 2.0 ingest: the resources below ``/services/data/vXX.X/jobs/ingest``."""

from __future__ import annotations

from typing import Any

from pipelines.lab.emulator.csvio import DELIMITERS, LINE_ENDINGS, parse, render
from pipelines.lab.emulator.errors import ApiError
from pipelines.lab.emulator.http import Request, Response
from pipelines.lab.emulator.ids import make_id
from pipelines.lab.emulator.jobs import JobWorker
from pipelines.lab.emulator.objects import SObject
from pipelines.lab.emulator.plan import OPERATIONS
from pipelines.lab.emulator.store import USER_ID, Store

MAX_UPLOAD_BYTES = 150_000_000
"""Largest upload after its conversion to base64, by which it grows by a third."""

_PAGE = 1000
_ENDED = ("JobComplete", "Failed", "Aborted")


class BulkService:
    """Life cycle of ingest jobs.

    Parameters
    ----------
    store, schema, worker
        The org and what processes its jobs.
    max_upload_bytes
        Bound on the base64 size of an upload.
    """

    def __init__(
        self,
        store: Store,
        schema: dict[str, SObject],
        worker: JobWorker,
        max_upload_bytes: int = MAX_UPLOAD_BYTES,
    ) -> None:
        self._store = store
        self._schema = schema
        self._worker = worker
        self._max_upload_bytes = max_upload_bytes

    def create(self, request: Request, version: str) -> Response:
        """Create a job in state ``Open``."""
        body = request.json()
        sobject = self._schema.get(str(body.get("object", "")).lower())
        if sobject is None or not sobject.by_lower_name["id"]:
            raise ApiError(400, "INVALIDJOB", f"InvalidJob : Unable to find object: {body.get('object')}")
        operation = _choice(body, "operation", OPERATIONS, None)
        delimiter = _choice(body, "columnDelimiter", DELIMITERS, "COMMA")
        line_ending = _choice(body, "lineEnding", LINE_ENDINGS, "LF")
        _choice(body, "contentType", ("CSV",), "CSV")
        external_id = body.get("externalIdFieldName")
        if operation == "upsert":
            field = sobject.get(str(external_id or ""))
            if field is None or not (field.external_id or field.name == "Id"):
                raise ApiError(
                    400,
                    "INVALIDJOB",
                    f"InvalidJob : Field name provided, {external_id} does not match an External ID,"
                    f" Salesforce Id, or indexed field for {sobject.name}",
                )
            external_id = field.name
        elif external_id is not None:
            raise ApiError(
                400, "INVALIDJOB", f"InvalidJob : externalIdFieldName is not allowed for {operation} jobs"
            )
        number, now = self._store.reserve("_jobs", 1), self._store.timestamp()
        job_id = make_id("750", number)
        with self._store.transaction() as connection:
            connection.execute(
                'INSERT INTO "_jobs" (number, id, object, operation, external_id, line_ending, delimiter,'
                " api_version, state, created, modified) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'Open', ?, ?)",
                (
                    number,
                    job_id,
                    sobject.name,
                    operation,
                    external_id,
                    line_ending,
                    delimiter,
                    version,
                    now,
                    now,
                ),
            )
        return Response.of(_summary(self._job(job_id)))

    def upload(self, request: Request, job_id: str) -> Response:
        """Take the data of an open job, once."""
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "text/csv":
            raise ApiError(415, "UNSUPPORTED_MEDIA_TYPE", "The Content-Type of job data must be text/csv")
        encoded = 4 * ((len(request.body) + 2) // 3)
        if encoded > self._max_upload_bytes:
            raise ApiError(
                413,
                "CLIENTINPUTERROR",
                f"ClientInputError : job data must not exceed {self._max_upload_bytes} bytes of base64,"
                f" got {encoded}",
            )
        with self._store.transaction() as connection:
            job = self._job(job_id)
            if job["state"] != "Open":
                raise ApiError(
                    400,
                    "INVALIDJOBSTATE",
                    f"InvalidJobState : Job data cannot be uploaded in state {job['state']}",
                )
            if job["uploaded"]:
                raise ApiError(
                    400,
                    "INVALIDBATCH",
                    f"InvalidBatch : Found multiple contents for job: <{job_id}>, please 'Close' / 'Abort' /"
                    " 'Delete' the current Job then create a new Job and make sure you only do 'PUT' once"
                    " on a given Job.",
                )
            connection.execute(
                'UPDATE "_jobs" SET content = ?, modified = ? WHERE id = ?',
                (request.body, self._store.timestamp(), job_id),
            )
        return Response(201)

    def set_state(self, request: Request, job_id: str) -> Response:
        """Close or abort a job."""
        wanted = request.json().get("state")
        if wanted not in ("UploadComplete", "Aborted"):
            raise ApiError(
                400,
                "INVALIDJOBSTATE",
                f"InvalidJobState : state must be UploadComplete or Aborted, got {wanted}",
            )
        with self._store.transaction() as connection:
            job = self._job(job_id)
            allowed = ("Open",) if wanted == "UploadComplete" else ("Open", "UploadComplete", "InProgress")
            if job["state"] not in allowed:
                verb = "Closing" if wanted == "UploadComplete" else "Aborting"
                state = job["state"] if job["state"] in ("Aborted", "Failed") else "Completed"
                raise ApiError(400, "INVALIDJOBSTATE", f"{verb} already {state} Job not allowed")
            connection.execute(
                'UPDATE "_jobs" SET state = ?, modified = ? WHERE id = ?',
                (wanted, self._store.timestamp(), job_id),
            )
        self._worker.notify()
        return Response.of(_summary(self._job(job_id)))

    def info(self, job_id: str) -> Response:
        """State and counters of a job."""
        return Response.of(_details(self._job(job_id)))

    def list_jobs(self, request: Request, version: str) -> Response:
        """Jobs, newest first, 1,000 a page."""
        job_type = request.query.get("jobType", "V2Ingest")
        chunked = request.query.get("isPkChunkingEnabled", "false").lower() == "true"
        try:
            before = int(request.query.get("queryLocator", 2**62))
        except ValueError:
            raise ApiError(400, "INVALID_QUERY_LOCATOR", "invalid query locator") from None
        jobs: list[dict[str, Any]] = []
        if job_type == "V2Ingest" and not chunked:
            jobs = self._select("number < ? ORDER BY number DESC LIMIT ?", (before, _PAGE + 1))
        more = len(jobs) > _PAGE
        page = jobs[:_PAGE]
        url = f"/services/data/v{version}/jobs/ingest?queryLocator={page[-1]['number']}" if more else None
        return Response.of(
            {"done": not more, "records": [_listed(job) for job in page], "nextRecordsUrl": url}
        )

    def results(self, job_id: str, which: str) -> Response:
        """CSV of the successful, failed or unprocessed rows of a job that has ended."""
        job = self._job(job_id)
        if job["state"] not in _ENDED:
            raise ApiError(
                400,
                "INVALIDJOBSTATE",
                f"InvalidJobState : results of a job in state {job['state']} are not available",
            )
        if not job["uploaded"]:
            return Response.csv(b"")
        with self._store.transaction() as connection:
            (content,) = connection.execute('SELECT content FROM "_jobs" WHERE id = ?', (job_id,)).fetchone()
            if which == "unprocessedrecords" and job["processed"] == 0:
                return Response.csv(content)
            fates = connection.execute(
                'SELECT row, record, created, error FROM "_job_rows" WHERE job = ? ORDER BY row',
                (job["number"],),
            ).fetchall()
        if not fates and which != "unprocessedrecords":
            return Response.csv(b"")
        header, rows = parse(content, job["delimiter"], job["line_ending"])
        style = (job["delimiter"], job["line_ending"])
        if which == "unprocessedrecords":
            return Response.csv(render((), header, rows[len(fates) :], *style))
        if which == "successfulResults":
            good = ([i, "true" if new else "false", *rows[n]] for n, i, new, error in fates if error is None)
            return Response.csv(render(("sf__Id", "sf__Created"), header, good, *style))
        bad = ([i, error, *rows[n]] for n, i, _, error in fates if error is not None)
        return Response.csv(render(("sf__Id", "sf__Error"), header, bad, *style))

    def delete(self, job_id: str) -> Response:
        """Delete a job and its data."""
        with self._store.transaction() as connection:
            job = self._job(job_id)
            if job["state"] not in (*_ENDED, "UploadComplete"):
                raise ApiError(
                    400, "INVALIDJOBSTATE", f"InvalidJobState : Deleting {job['state']} Job not allowed"
                )
            connection.execute('DELETE FROM "_job_rows" WHERE job = ?', (job["number"],))
            connection.execute('DELETE FROM "_jobs" WHERE id = ?', (job_id,))
        return Response(204)

    def _job(self, job_id: str) -> dict[str, Any]:
        jobs = self._select("id = ?", (job_id,))
        if not jobs:
            raise ApiError(404, "NOT_FOUND", "The requested resource does not exist")
        return jobs[0]

    def _select(self, condition: str, parameters: tuple[object, ...]) -> list[dict[str, Any]]:
        return self._store.rows(
            "SELECT number, id, object, operation, external_id, line_ending, delimiter, api_version, state,"
            " created, modified, processed, failed, error, milliseconds, content IS NOT NULL AS uploaded"
            f' FROM "_jobs" WHERE {condition}',
            parameters,
        )


def _choice(body: dict[str, Any], name: str, allowed: Any, default: str | None) -> str:
    value = body.get(name, default)
    if value not in allowed:
        raise ApiError(
            400, "INVALIDJOB", f"InvalidJob : {name} must be one of {', '.join(allowed)}, got {value}"
        )
    return str(value)


def _summary(job: dict[str, Any]) -> dict[str, Any]:
    """Answer to creating, closing or aborting a job."""
    info = {
        "id": job["id"],
        "operation": job["operation"],
        "object": job["object"],
        "createdById": USER_ID,
        "createdDate": job["created"],
        "systemModstamp": job["modified"],
        "state": job["state"],
        "concurrencyMode": "Parallel",
        "contentType": "CSV",
        "apiVersion": float(job["api_version"]),
        "lineEnding": job["line_ending"],
        "columnDelimiter": job["delimiter"],
    }
    if job["external_id"]:
        info["externalIdFieldName"] = job["external_id"]
    if job["state"] == "Open":
        info["contentUrl"] = f"services/data/v{job['api_version']}/jobs/ingest/{job['id']}/batches"
    return info


def _listed(job: dict[str, Any]) -> dict[str, Any]:
    return {**_summary(job), "jobType": "V2Ingest"}


def _details(job: dict[str, Any]) -> dict[str, Any]:
    info = {
        **_listed(job),
        "numberRecordsProcessed": job["processed"],
        "numberRecordsFailed": job["failed"],
        "retries": 0,
        "totalProcessingTime": job["milliseconds"],
        "apiActiveProcessingTime": job["milliseconds"],
        "apexProcessingTime": 0,
    }
    if job["error"]:
        info["errorMessage"] = job["error"]
    return info
