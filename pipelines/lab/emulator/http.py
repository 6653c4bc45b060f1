"""Requests and responses between the transport and the services."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.lab.emulator.errors import ApiError


@dataclass(frozen=True)
class Request:
    """A request after the transport has read all of it.

    Attributes
    ----------
    method, path
        Verb, and path without query string or trailing slash.
    query, headers
        Last value of each parameter; headers by lower-case name.
    body
        Raw body.
    local
        Whether it came from this machine.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    local: bool = True

    def json(self) -> dict[str, Any]:
        """Body as a JSON object.

        Raises
        ------
        ApiError
            400 ``JSON_PARSER_ERROR`` if it is anything else.
        """
        try:
            value = json.loads(self.body)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise ApiError(400, "JSON_PARSER_ERROR", "The request body must be a JSON object")
        return value


@dataclass(frozen=True)
class Response:
    """What to send back."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json;charset=UTF-8"
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, value: object, status: int = 200, **headers: str) -> Response:
        """JSON response."""
        return cls(status, json.dumps(value).encode(), headers=headers)

    @classmethod
    def csv(cls, body: bytes, **headers: str) -> Response:
        """CSV response."""
        return cls(200, body, "text/csv;charset=UTF-8", headers)
