"""Kinds of sink errors that callers treat differently (retry, or fail at once)."""

from __future__ import annotations

from pipelines.errors import SinkError


class SinkAuthenticationError(SinkError):
    """The sink refused the credentials: retrying cannot help, and may lock the user out."""


class RemoteError(SinkError):
    """The sink answered a request with an error that retrying does not fix; ``code`` is its own, empty if it sent none."""

    def __init__(self, message: str, *, status: int, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class AmbiguousRequestError(SinkError):
    """A request that must not be repeated blindly got no answer: it may or may not have worked."""


class SinkUnavailableError(SinkError):
    """The sink stayed unreachable, overloaded or out of quota for all bounded retries."""
