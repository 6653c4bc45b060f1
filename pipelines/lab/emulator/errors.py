"""Errors as the service words them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RowError:
    """Why one record was refused: status code, message and the fields to blame."""

    code: str
    message: str
    fields: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Text of ``sf__Error`` in a result file: ``CODE:message:fields --``."""
        return f"{self.code}:{self.message}:{','.join(self.fields)}{' ' if self.fields else ''}--"


class ApiError(Exception):
    """A request that is refused as a whole.

    Attributes
    ----------
    status
        HTTP status.
    code, message, fields
        The error object of the JSON body.
    """

    def __init__(self, status: int, code: str, message: str, fields: tuple[str, ...] = ()) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.fields = fields

    def body(self) -> list[dict[str, object]]:
        """JSON body: a list of one error object."""
        error: dict[str, object] = {"message": self.message, "errorCode": self.code}
        if self.fields:
            error["fields"] = list(self.fields)
        return [error]
