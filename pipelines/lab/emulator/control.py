"""Control of the emulator from outside its process: ``/_emulator/...``.

It needs no session and writes as an administrator, so it answers clients of the same machine only,
unless the emulator was told otherwise.

======================================  ==========================================================
``GET /_emulator/health``               ``{"status": "ok"}``
``GET, PUT /_emulator/faults``          the schedule of :class:`~pipelines.lab.faults.Fault`, as JSON
``GET /_emulator/audit``                counts of requests, injected faults and processed payloads
``GET /_emulator/records/OBJECT``       all records (``?limit=``), as JSON
``POST /_emulator/records/OBJECT?key=`` upsert records as an administrator (seeding): a JSON list
``POST /_emulator/sessions/expire``     end every session
``POST /_emulator/reset``               forget records, jobs and audit; no faults
======================================  ==========================================================
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pipelines.lab.emulator.dml import apply
from pipelines.lab.emulator.errors import ApiError
from pipelines.lab.emulator.http import Request, Response
from pipelines.lab.emulator.objects import SObject
from pipelines.lab.emulator.plan import plan
from pipelines.lab.emulator.sessions import Sessions
from pipelines.lab.emulator.store import Store
from pipelines.lab.emulator.values import KEEP, from_json
from pipelines.lab.faults import Injector, schedule

_SEED_BATCH = 10_000


@dataclass(frozen=True)
class AuditRow:
    """How often one payload was processed.

    Attributes
    ----------
    object, key
        Object and the value of the upsert's external id (the record id where there was none).
    digest
        Identifies the operation and the cells of the row, whatever the order of its columns.
    operation
        ``upsert``, ``update``, ``insert`` or ``delete``.
    ok, failed
        Times it was processed with success, and refused.
    """

    object: str
    key: str
    digest: str
    operation: str
    ok: int
    failed: int


class ControlService:
    """What tests and the demo ask of the emulator beyond the real service's interface."""

    def __init__(
        self,
        store: Store,
        schema: dict[str, SObject],
        sessions: Sessions,
        injector: Injector,
        *,
        remote: bool = False,
    ) -> None:
        self._store = store
        self._schema = schema
        self._sessions = sessions
        self._injector = injector
        self._remote = remote
        self._counts: Callable[[], dict[str, int]] = dict
        self._reset_counts: Callable[[], None] = lambda: None

    def attach_counts(self, counts: Callable[[], dict[str, int]], reset: Callable[[], None]) -> None:
        """Set where the counts of requests come from."""
        self._counts, self._reset_counts = counts, reset

    def seed(self, object_name: str, records: Iterable[Mapping[str, Any]], key: str) -> int:
        """Upsert records as an administrator, 10,000 a transaction; returns their number.

        Not counted in the audit.

        Raises
        ------
        ValueError
            A record was refused; the message is the service's.
        """
        sobject = self._schema[object_name.lower()]
        remaining = iter(records)
        total = 0
        while batch := list(islice(remaining, _SEED_BATCH)):
            header = sorted({name for record in batch for name in record})
            write = plan(self._schema, sobject, "upsert", header, key=key, enforce_access=False)
            columns = [
                [from_json(record[name]) if name in record else KEEP for record in batch] for name in header
            ]
            for record, outcome in zip(batch, apply(self._store, write, columns, audit=False), strict=True):
                if outcome.error is not None:
                    raise ValueError(f"{sobject.name} {record.get(key)!r}: {outcome.error}")
            total += len(batch)
        return total

    def records(self, object_name: str, limit: int | None = None) -> list[dict[str, Any]]:
        """Return the stored records that are not deleted, in the order of their ids."""
        sobject = self._schema[object_name.lower()]
        return self._store.rows(
            f'SELECT * FROM "{sobject.name}" WHERE IsDeleted = 0 ORDER BY Id LIMIT ?',
            (-1 if limit is None else limit,),
        )

    def audit(self, object_name: str | None = None) -> list[AuditRow]:
        """Return the processed payloads, of one object or of all."""
        with self._store.transaction() as connection:
            rows = connection.execute(
                'SELECT object, key, digest, operation, ok, failed FROM "_audit"'
                " WHERE :object IS NULL OR object = :object ORDER BY object, key, digest",
                {"object": object_name},
            ).fetchall()
        return [AuditRow(*row) for row in rows]

    def reset(self) -> None:
        """Forget records, jobs, audit, counts and faults; end the sessions."""
        self._store.reset()
        self._sessions.expire_all()
        self._injector.replace(())
        self._reset_counts()

    def summary(self) -> dict[str, Any]:
        """Count requests by kind, injected faults, and per object how the processed payloads fared."""
        with self._store.transaction() as connection:
            rows = connection.execute(
                "SELECT object, operation, count(*), count(DISTINCT key), sum(ok), sum(failed), max(ok)"
                ' FROM "_audit" GROUP BY object, operation ORDER BY object, operation'
            ).fetchall()
        names = ("object", "operation", "payloads", "keys", "ok", "failed", "most_ok_of_one_payload")
        return {
            "requests": self._counts(),
            "injected": dict(self._injector.injected),
            "processed": [dict(zip(names, row, strict=True)) for row in rows],
        }

    def answer(self, request: Request) -> Response:
        """Answer a control request; 404 to another machine unless that was allowed."""
        if not (request.local or self._remote):
            raise _not_found()
        match [request.method, *_parts(request.path)]:
            case ["GET", "health"]:
                return Response.of({"status": "ok"})
            case ["GET", "faults"]:
                return Response.of(self._injector.to_json())
            case ["PUT", "faults"]:
                try:
                    self._injector.replace(schedule(request.body))
                except ValueError as error:
                    raise ApiError(400, "INVALID_FAULTS", str(error)) from None
                return Response.of(self._injector.to_json())
            case ["GET", "audit"]:
                return Response.of(self.summary())
            case ["GET", "audit", name]:
                return Response.of([vars(row) for row in self.audit(self._known(name))])
            case ["GET", "records", name]:
                limit = request.query.get("limit")
                return Response.of(self.records(self._known(name), int(limit) if limit else None))
            case ["POST", "records", name]:
                return self._seed_request(self._known(name), request)
            case ["POST", "sessions", "expire"]:
                self._sessions.expire_all()
                return Response(204)
            case ["POST", "reset"]:
                self.reset()
                return Response(204)
            case _:
                raise _not_found()

    def _seed_request(self, name: str, request: Request) -> Response:
        try:
            records: Sequence[Mapping[str, Any]] = json.loads(request.body)
            return Response.of({"seeded": self.seed(name, records, request.query.get("key", "Id"))})
        except ValueError as error:
            raise ApiError(400, "INVALID_RECORDS", str(error)) from None

    def _known(self, name: str) -> str:
        if name.lower() not in self._schema:
            raise _not_found()
        return self._schema[name.lower()].name


def _parts(path: str) -> list[str]:
    return path.removeprefix("/_emulator/").split("/")


def _not_found() -> ApiError:
    return ApiError(404, "NOT_FOUND", "The requested resource does not exist")
