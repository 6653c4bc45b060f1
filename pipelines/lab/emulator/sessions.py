"""SOAP login and the sessions it opens."""

from __future__ import annotations

import hmac
import re
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape, unescape

from pipelines.lab.emulator.errors import ApiError
from pipelines.lab.emulator.http import Request, Response
from pipelines.lab.emulator.store import ORGANIZATION_ID, USER_ID

_SESSION_SECONDS = 7200


@dataclass(frozen=True)
class Credentials:
    """Who may log in. The defaults are those of the laptop; a deployment sets its own."""

    username: str = "integration@millrace.example"
    password: str = field(default="laptop-only", repr=False)
    security_token: str = field(default="laptop-token", repr=False)


class Sessions:
    """Open sessions; they end with the process, as a real session does sooner or later."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._open: set[str] = set()
        self._lock = threading.Lock()

    def login(self, request: Request, version: str) -> Response:
        """Answer the SOAP ``login`` call of the partner interface."""
        username, password = _element(request.body, "username"), _element(request.body, "password")
        expected = self._credentials.password + self._credentials.security_token
        known = hmac.compare_digest(username.encode(), self._credentials.username.encode())
        if not (known & hmac.compare_digest(password.encode(), expected.encode())):
            return soap_fault(_WRONG_LOGIN)
        session = f"{ORGANIZATION_ID[:15]}!{secrets.token_urlsafe(60)}"
        with self._lock:
            self._open.add(session)
        host = escape(request.headers.get("host", "localhost"))
        return _xml(
            200,
            _RESULT.format(
                meta=f"https://{host}/services/Soap/m/{version}/{ORGANIZATION_ID}",
                url=f"https://{host}/services/Soap/u/{version}/{ORGANIZATION_ID}",
                session=session,
                user=USER_ID,
                name=escape(self._credentials.username),
                org=ORGANIZATION_ID,
                seconds=_SESSION_SECONDS,
            ),
        )

    def soap(self, request: Request, version: str, purge: Callable[[Sequence[str]], list[str]]) -> Response:
        """Answer a call of the partner interface: ``login`` or ``emptyRecycleBin``, the two that are known."""
        if b"emptyRecycleBin" not in request.body:
            return self.login(request, version)
        with self._lock:
            known = _element(request.body, "sessionId") in self._open
        if not known:
            return soap_fault(ApiError(401, "INVALID_SESSION_ID", "Session expired or invalid"))
        ids = re.findall(r"<ids>(\w+)</ids>", request.body.decode(errors="replace"))
        gone = set(purge(ids))
        results = "".join(
            _EMPTIED.format(id=each) if each in gone else _NOT_IN_BIN.format(id=each) for each in ids
        )
        return _xml(200, _EMPTY_RESULT.format(results=results))

    def check(self, request: Request) -> None:
        """Check that a request has a session.

        Raises
        ------
        ApiError
            401 ``INVALID_SESSION_ID``: it is unknown or has ended.
        """
        scheme, _, session = request.headers.get("authorization", "").partition(" ")
        with self._lock:
            known = scheme in ("Bearer", "OAuth") and session in self._open
        if not known:
            raise ApiError(401, "INVALID_SESSION_ID", "Session expired or invalid")

    def expire(self, request: Request) -> None:
        """End the session of a request."""
        with self._lock:
            self._open.discard(request.headers.get("authorization", "").partition(" ")[2])

    def expire_all(self) -> None:
        """End every session."""
        with self._lock:
            self._open.clear()


def _element(body: bytes, name: str) -> str:
    """Text of an element of the request; the envelope is small and flat, so no XML parser is exposed."""
    match = re.search(rf"<(?:\w+:)?{name}>(.*?)</(?:\w+:)?{name}>", body.decode(errors="replace"), re.DOTALL)
    return unescape(match[1]) if match else ""


def soap_fault(error: ApiError) -> Response:
    """Refusal as the SOAP interface words it: always HTTP 500, the code in the body."""
    kind = "LoginFault" if error.code == "INVALID_LOGIN" else "UnexpectedErrorFault"
    return _xml(500, _FAULT.format(code=error.code, message=escape(error.message), kind=kind))


def _xml(status: int, body: str) -> Response:
    return Response(
        status, ('<?xml version="1.0" encoding="UTF-8"?>' + body).encode(), "text/xml;charset=UTF-8"
    )


_WRONG_LOGIN = ApiError(
    500, "INVALID_LOGIN", "Invalid username, password, security token; or user locked out."
)
_FAULT = (
    '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"'
    ' xmlns:sf="urn:fault.partner.soap.sforce.com" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
    "<soapenv:Body><soapenv:Fault><faultcode>sf:{code}</faultcode><faultstring>{code}: {message}</faultstring>"
    '<detail><sf:{kind} xsi:type="sf:{kind}"><sf:exceptionCode>{code}</sf:exceptionCode>'
    "<sf:exceptionMessage>{message}</sf:exceptionMessage></sf:{kind}></detail>"
    "</soapenv:Fault></soapenv:Body></soapenv:Envelope>"
)
_RESULT = (
    '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"'
    ' xmlns="urn:partner.soap.sforce.com"><soapenv:Body><loginResponse><result>'
    "<metadataServerUrl>{meta}</metadataServerUrl><passwordExpired>false</passwordExpired>"
    "<sandbox>true</sandbox><serverUrl>{url}</serverUrl><sessionId>{session}</sessionId>"
    "<userId>{user}</userId><userInfo><organizationId>{org}</organizationId>"
    "<sessionSecondsValid>{seconds}</sessionSecondsValid><userId>{user}</userId>"
    "<userName>{name}</userName></userInfo></result></loginResponse></soapenv:Body></soapenv:Envelope>"
)
_EMPTIED = "<result><id>{id}</id><success>true</success></result>"
_NOT_IN_BIN = (
    "<result><errors><message>record is not in the recycle bin</message><statusCode>UNDELETE_FAILED</statusCode>"
    "</errors><id>{id}</id><success>false</success></result>"
)
_EMPTY_RESULT = (
    '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"'
    ' xmlns="urn:partner.soap.sforce.com"><soapenv:Body><emptyRecycleBinResponse>{results}'
    "</emptyRecycleBinResponse></soapenv:Body></soapenv:Envelope>"
)
