"""A logged-in connection to Salesforce: simple-salesforce's login and errors, our own retries."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from html import escape
from json import JSONDecodeError
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from simple_salesforce.api import Salesforce
from simple_salesforce.exceptions import SalesforceAuthenticationFailed, SalesforceError
from simple_salesforce.login import SalesforceLogin
from simple_salesforce.util import call_salesforce

from pipelines.errors import ConfigError
from pipelines.settings import SalesforceSettings, is_loopback
from pipelines.sinks.errors import (
    AmbiguousRequestError,
    RemoteError,
    SinkAuthenticationError,
    SinkUnavailableError,
)
from pipelines.sinks.salesforce.target import PublishOptions

API_VERSION = "62.0"
_LOG = logging.getLogger(__name__)

#: Refusals before anything was done: repeating the request is safe whatever it was.
_OVERLOAD_CODES = frozenset({"REQUEST_LIMIT_EXCEEDED", "SERVER_UNAVAILABLE", "REQUEST_RUNNING_TOO_LONG"})

#: Refusals of a login that say nothing about the credentials.
_PASSING_LOGIN_CODES = _OVERLOAD_CODES | {"UNKNOWN_EXCEPTION"}

#: Answers of emptyRecycleBin about records that are gone already.
_NOT_IN_BIN = frozenset({"UNDELETE_FAILED", "INVALID_CROSS_REFERENCE_KEY", "ENTITY_IS_DELETED"})
_IDS_PER_CALL = 200
_EMPTY_BIN = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<env:Envelope xmlns:env="http://schemas.xmlsoap.org/soap/envelope/" xmlns="urn:partner.soap.sforce.com">'
    "<env:Header><SessionHeader><sessionId>{session}</sessionId></SessionHeader></env:Header>"
    "<env:Body><emptyRecycleBin>{ids}</emptyRecycleBin></env:Body></env:Envelope>"
)

_DROPPED = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)


class _Adapter(HTTPAdapter):
    """Applies time-outs that no caller can forget, and the CA bundle.

    requests lets ``REQUESTS_CA_BUNDLE`` win over ``session.verify``; an explicit setting must not
    depend on the environment, so it is put in here.
    """

    def __init__(self, timeout: tuple[float, float], ca_bundle: str | None) -> None:
        self._timeout = timeout
        self._ca_bundle = ca_bundle
        super().__init__()

    def send(self, request: Any, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = self._timeout
        if self._ca_bundle:
            kwargs["verify"] = self._ca_bundle
        return super().send(request, **kwargs)


def new_session(settings: SalesforceSettings, options: PublishOptions) -> requests.Session:
    """Make a requests session with time-outs and the configured certificate authority."""
    if settings.ca_bundle and not settings.ca_bundle.is_file():
        raise ConfigError(f"MILLRACE_SALESFORCE__CA_BUNDLE must be a PEM file, got {settings.ca_bundle}")
    session = requests.Session()
    # A proxy cannot reach our own loopback.
    session.trust_env = not is_loopback(urlsplit(f"//{settings.instance}").hostname)
    timeout = (options.connect_timeout_s, options.read_timeout_s)
    session.mount("https://", _Adapter(timeout, str(settings.ca_bundle) if settings.ca_bundle else None))
    return session


def error_code(error: SalesforceError) -> str:
    """Error code in a Salesforce answer such as ``[{"errorCode": …, "message": …}]``, else empty."""
    content: Any = error.content
    if isinstance(content, list) and content and isinstance(content[0], dict):
        return str(content[0].get("errorCode", ""))
    return str(content.get("errorCode", "")) if isinstance(content, dict) else ""


class Connection:
    """Requests against one org, with login, re-login and bounded retries.

    Raises ``SinkAuthenticationError`` if the credentials are refused; at once, since repeated tries lock a user
    out. Raises ``SinkUnavailableError`` if Salesforce did not answer the login in all bounded tries.
    """

    def __init__(self, settings: SalesforceSettings, options: PublishOptions) -> None:
        self._settings = settings
        self._http = options.http
        self._session = new_session(settings, options)
        self.client = self._login()

    @property
    def bulk_url(self) -> str:
        """Address of the ingest jobs."""
        return f"{self.client.bulk2_url}ingest"

    def get(self, url: str, *, accept: str = "application/json", **kwargs: Any) -> requests.Response:
        """Read, as often as needed; ``url`` may be relative to the instance or the REST root."""
        return self.send("GET", url, repeatable=True, headers={"ACCEPT": accept}, **kwargs)

    def find(self, url: str) -> Any:
        """Read a JSON answer; None if there is no such thing."""
        try:
            return self.get(url).json()
        except RemoteError as error:
            if error.status != 404:
                raise
            return None

    def delete(self, url: str) -> None:
        """Delete what may be gone already."""
        try:
            self.send("DELETE", url, repeatable=True)
        except RemoteError as error:
            if error.status != 404:  # our own try whose answer was lost
                raise

    def send(
        self, method: str, url: str, *, repeatable: bool, headers: dict[str, str] | None = None, **kwargs: Any
    ) -> requests.Response:
        """Send a request; ``repeatable`` says that sending it twice is harmless.

        If it is not, it is repeated only after refusals that did nothing (expired session, quota, too many
        requests), and raises ``AmbiguousRequestError`` if it got no answer. Raises ``RemoteError`` if
        Salesforce refused it for a reason that is not transient, ``SinkUnavailableError`` if all tries failed,
        and ``SinkAuthenticationError`` if the session expired and the credentials are refused.
        """
        last = ""
        for attempt in self._http.tries():
            try:
                return self._call(method, url, headers or {}, kwargs)
            except _DROPPED as error:
                last = type(error).__name__
                if not repeatable:
                    raise AmbiguousRequestError(f"{method} {url}: no answer ({last})") from error
            except SalesforceError as error:
                code, last = error_code(error), f"HTTP {error.status} {error.content!r}"
                if error.status == 401:
                    if code != "INVALID_SESSION_ID":
                        raise SinkAuthenticationError(f"{method} {url}: {last}") from error
                    _LOG.info("the Salesforce session expired, logging in again")
                    self.client = self._login()
                elif error.status >= 500 and code not in _OVERLOAD_CODES and not repeatable:
                    raise AmbiguousRequestError(f"{method} {url}: {last}") from error
                elif not (error.status >= 500 or error.status == 429 or code in _OVERLOAD_CODES):
                    raise RemoteError(
                        f"{method} {url}: {last}", status=int(error.status), code=code
                    ) from error
            _LOG.warning("%s %s: %s (try %d of %d)", method, url, last, attempt + 1, self._http.attempts)
        raise SinkUnavailableError(
            f"Salesforce did not complete {method} {url} in {self._http.attempts} tries, last: {last}. "
            "Run the publish again later: it resumes where it stopped"
        )

    def query(self, soql: str, *, deleted: bool = False) -> list[dict[str, Any]]:
        """Run a SOQL query, all pages; with ``deleted``, over the recycle bin too."""
        page = self.get("queryAll/" if deleted else "query/", params={"q": soql}).json()
        records: list[dict[str, Any]] = page["records"]
        while not page["done"]:
            page = self.get(page["nextRecordsUrl"]).json()
            records += page["records"]
        return records

    def empty_recycle_bin(self, record_ids: Sequence[str]) -> None:
        """Remove deleted records for good, which only the SOAP interface offers; those that are gone are no error."""
        for start in range(0, len(record_ids), _IDS_PER_CALL):
            ids = "".join(f"<ids>{each}</ids>" for each in record_ids[start : start + _IDS_PER_CALL])
            body = _EMPTY_BIN.format(session=escape(self.client.session_id), ids=ids)
            headers = {"Content-Type": "text/xml; charset=UTF-8", "SOAPAction": "emptyRecycleBin"}
            url = f"/services/Soap/u/{API_VERSION}"
            answer = self.send("POST", url, repeatable=True, headers=headers, data=body.encode()).text
            codes = set(re.findall(r"<(?:\w+:)?statusCode>(\w+)<", answer)) - _NOT_IN_BIN
            if codes:
                raise RemoteError(f"emptyRecycleBin: {answer[:500]}", status=200, code=sorted(codes)[0])

    def _call(self, method: str, url: str, headers: dict[str, str], kwargs: Any) -> requests.Response:
        if url.startswith("/"):
            url = f"https://{self.client.sf_instance}{url}"
        elif not url.startswith("https://"):
            url = self.client.base_url + url
        response = call_salesforce(
            url, method, self._session, dict(self.client.headers), additional_headers=headers, **kwargs
        )
        if not isinstance(response, requests.Response):
            raise TypeError(f"expected a response, got {type(response).__name__}")
        return response

    def _login(self) -> Salesforce:
        last = ""
        for attempt in self._http.tries():
            try:
                session_id, instance = SalesforceLogin(
                    username=self._settings.username,
                    password=self._settings.password.get_secret_value(),
                    security_token=self._settings.security_token.get_secret_value(),
                    sf_version=API_VERSION,
                    session=self._session,
                    client_id="millrace",
                    scratch_url=f"https://{self._settings.instance}",  # the only way to name host and port
                )
                return Salesforce(
                    session_id=session_id, instance=instance, session=self._session, version=API_VERSION
                )
            except _DROPPED as error:
                last = f"{type(error).__name__}: {error}"
            except (JSONDecodeError, SalesforceAuthenticationFailed) as error:
                code = str(getattr(error, "code", "") or "").removeprefix("sf:")
                last = f"{code} {getattr(error, 'auth_message', error)}".strip()
                passing = not code or code.startswith("5") or code == "429" or code in _PASSING_LOGIN_CODES
                if not passing:
                    raise SinkAuthenticationError(
                        f"Salesforce at {self._settings.instance} refused the login of "
                        f"{self._settings.username!r}: {last}. Check MILLRACE_SALESFORCE__USERNAME, "
                        "__PASSWORD, __SECURITY_TOKEN and __INSTANCE"
                    ) from None
            _LOG.warning("login: %s (try %d of %d)", last, attempt + 1, self._http.attempts)
        raise SinkUnavailableError(
            f"Salesforce at {self._settings.instance} did not answer the login in "
            f"{self._http.attempts} tries, last: {last}. Check MILLRACE_SALESFORCE__INSTANCE and the network"
        )
