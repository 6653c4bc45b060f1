"""Routes: which service answers a request, and what the request is called in counts and faults."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from pipelines.lab.emulator.bulk import BulkService
from pipelines.lab.emulator.control import ControlService
from pipelines.lab.emulator.errors import ApiError
from pipelines.lab.emulator.http import Request, Response
from pipelines.lab.emulator.rest import VERSIONS, RestService
from pipelines.lab.emulator.sessions import Sessions, soap_fault
from pipelines.lab.faults import Injector

_DATA = r"/services/data/v(?P<version>\d+\.\d)"
_JOBS = rf"{_DATA}/jobs/ingest"
_RECORD = rf"{_DATA}/sobjects/(?P<object>\w+)"

_REFUSALS = {
    "unavailable": ApiError(503, "SERVER_UNAVAILABLE", "The REST API server is temporarily unavailable"),
    "server_error": ApiError(
        500,
        "UNKNOWN_EXCEPTION",
        "An unexpected error occurred. Please include this ErrorId if you contact support: 1-1",
    ),
    "request_limit": ApiError(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."),
    "expire_session": ApiError(401, "INVALID_SESSION_ID", "Session expired or invalid"),
}

#: What can go wrong with a request. Refusals and ``drop_before`` process nothing. The others process the request,
#: then drop the connection before a byte of the answer (``drop_after``) or in the middle of it (``truncate``), or
#: say nothing until the client hangs up (``silence``).
REQUEST_FAULTS = (*_REFUSALS, "drop_before", "drop_after", "truncate", "silence")


@dataclass(frozen=True)
class Route:
    """A resource and verb.

    Attributes
    ----------
    kind
        Name in the counts, and the kind of call in a :class:`~pipelines.lab.faults.Fault`.
    method, pattern
        What it matches.
    handle
        Called with the request and the named groups of the pattern.
    session
        Whether a session is needed.
    """

    kind: str
    method: str
    pattern: re.Pattern[str]
    handle: Callable[[Request, dict[str, str]], Response]
    session: bool = True


class App:
    """The emulated service, without transport.

    Parameters
    ----------
    sessions, rest, bulk, control, injector
        The parts that answer.
    """

    def __init__(
        self,
        sessions: Sessions,
        rest: RestService,
        bulk: BulkService,
        control: ControlService,
        injector: Injector,
    ) -> None:
        self._sessions = sessions
        self._rest = rest
        self._control = control
        self._injector = injector
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._routes = _routes(sessions, rest, bulk)
        control.attach_counts(self.counts, self.reset_counts)

    def counts(self) -> dict[str, int]:
        """Count requests by kind since the start or the last reset, including those that met a fault."""
        with self._lock:
            return dict(self._counts)

    def reset_counts(self) -> None:
        """Start counting again."""
        with self._lock:
            self._counts.clear()

    def answer(self, request: Request) -> tuple[Response, str | None]:
        """Answer a request.

        Returns
        -------
        tuple
            The response, and the fault that the transport injects (``drop_before``, ``drop_after``,
            ``truncate``, ``silence``), or None. With ``drop_before`` nothing was processed.
        """
        if request.path.startswith("/_emulator/"):
            return self._guard(lambda: self._control.answer(request)), None
        route, groups = self._find(request)
        kind = route.kind if route else "unknown"
        with self._lock:
            self._counts[kind] += 1
        met = self._injector.next("request", kind)
        fault = met.name if met else None
        if fault == "drop_before":
            return Response(), fault
        if fault in _REFUSALS:
            if fault == "expire_session":
                self._sessions.expire(request)
            refusal = _REFUSALS[fault]
            if kind == "login":
                return soap_fault(refusal), None
            return Response.of(refusal.body(), refusal.status), None
        return self._guard(lambda: self._dispatch(route, groups, request)), fault

    def _find(self, request: Request) -> tuple[Route | None, dict[str, str]]:
        for route in self._routes:
            match = route.pattern.fullmatch(request.path)
            if match and route.method == request.method:
                return route, match.groupdict()
        return None, {}

    def _dispatch(self, route: Route | None, groups: dict[str, str], request: Request) -> Response:
        if route is None:
            if any(other.pattern.fullmatch(request.path) for other in self._routes):
                raise ApiError(405, "METHOD_NOT_ALLOWED", f"HTTP Method '{request.method}' not allowed.")
            raise ApiError(404, "NOT_FOUND", "The requested resource does not exist")
        if "version" in groups and route.session and groups["version"] not in VERSIONS:
            raise ApiError(404, "NOT_FOUND", "The requested resource does not exist")
        if route.session:
            self._sessions.check(request)
            self._rest.api_requests += 1
        return route.handle(request, groups)

    @staticmethod
    def _guard(answer: Callable[[], Response]) -> Response:
        try:
            return answer()
        except ApiError as error:
            return Response.of(error.body(), error.status)


def _routes(sessions: Sessions, rest: RestService, bulk: BulkService) -> tuple[Route, ...]:
    def route(
        kind: str,
        method: str,
        pattern: str,
        handle: Callable[[Request, dict[str, str]], Response],
        session: bool = True,
    ) -> Route:
        return Route(kind, method, re.compile(pattern, re.IGNORECASE), handle, session)

    key = r"(?P<key>\w+)/(?P<value>[^/]+)"
    record = r"(?P<id>[0-9A-Za-z]{15,18})"
    return (
        route(
            "login",
            "POST",
            r"/services/Soap/u/(?P<version>\d+\.\d)",
            lambda r, g: sessions.soap(r, g["version"], rest.purge),
            False,
        ),
        route("versions", "GET", "/services/data", lambda r, g: rest.versions(), False),
        route("bulk.create", "POST", _JOBS, lambda r, g: bulk.create(r, g["version"])),
        route("bulk.list", "GET", _JOBS, lambda r, g: bulk.list_jobs(r, g["version"])),
        route("bulk.upload", "PUT", rf"{_JOBS}/(?P<job>\w+)/batches", lambda r, g: bulk.upload(r, g["job"])),
        route(
            "bulk.results",
            "GET",
            rf"{_JOBS}/(?P<job>\w+)/(?P<which>successfulResults|failedResults|unprocessedrecords)",
            lambda r, g: bulk.results(g["job"], _RESULTS[g["which"].lower()]),
        ),
        route("bulk.info", "GET", rf"{_JOBS}/(?P<job>\w+)", lambda r, g: bulk.info(g["job"])),
        route("bulk.state", "PATCH", rf"{_JOBS}/(?P<job>\w+)", lambda r, g: bulk.set_state(r, g["job"])),
        route("bulk.delete", "DELETE", rf"{_JOBS}/(?P<job>\w+)", lambda r, g: bulk.delete(g["job"])),
        route("limits", "GET", rf"{_DATA}/limits", lambda r, g: rest.limits()),
        route("query", "GET", rf"{_DATA}/query", lambda r, g: rest.query(r, g["version"])),
        route("query", "GET", rf"{_DATA}/queryAll", lambda r, g: rest.query(r, g["version"], deleted=True)),
        route(
            "query",
            "GET",
            rf"{_DATA}/query(All)?/(?P<locator>[\w-]+)",
            lambda r, g: rest.query_more(g["locator"], g["version"]),
        ),
        route("describe", "GET", rf"{_DATA}/sobjects", lambda r, g: rest.describe_global(g["version"])),
        route(
            "describe", "GET", rf"{_RECORD}/describe", lambda r, g: rest.describe(g["object"], g["version"])
        ),
        route("describe", "GET", _RECORD, lambda r, g: rest.basic(g["object"], g["version"])),
        route("record.create", "POST", _RECORD, lambda r, g: rest.create(g["object"], r)),
        route(
            "record.get",
            "GET",
            rf"{_RECORD}/{record}",
            lambda r, g: rest.get(g["object"], "Id", g["id"], g["version"], r),
        ),
        route(
            "record.update",
            "PATCH",
            rf"{_RECORD}/{record}",
            lambda r, g: rest.update(g["object"], g["id"], r),
        ),
        route(
            "record.delete", "DELETE", rf"{_RECORD}/{record}", lambda r, g: rest.delete(g["object"], g["id"])
        ),
        route(
            "record.get",
            "GET",
            rf"{_RECORD}/{key}",
            lambda r, g: rest.get(g["object"], g["key"], g["value"], g["version"], r),
        ),
        route(
            "record.upsert",
            "PATCH",
            rf"{_RECORD}/{key}",
            lambda r, g: rest.upsert(g["object"], g["key"], g["value"], r),
        ),
    )


_RESULTS = {name.lower(): name for name in ("successfulResults", "failedResults", "unprocessedrecords")}
