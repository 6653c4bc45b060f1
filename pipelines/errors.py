"""The exceptions of millrace, each with the exit code of the ``millrace`` command.

A message says what must hold, what was received, which rows or fields offend, and what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MillraceError(Exception):
    """Base of every error that millrace raises on purpose."""

    exit_code = 1


class ConfigError(MillraceError):
    """A setting, parameter or environment variable is missing or wrong."""

    exit_code = 2


class DataContractError(MillraceError):
    """Data breaks its declared contract: a column is missing, a key repeats, an audit failed."""

    exit_code = 3


class NotKeptError(DataContractError):
    """Rows of a day, or a version of a table, are not in the lake: not yet, or no longer."""


class ModelGateError(MillraceError):
    """No model may serve: the gate refused the challenger and there is no champion."""

    exit_code = 4


class SinkError(MillraceError):
    """Rows could not be delivered; the ledger says which and why."""

    exit_code = 5


class RegistryError(MillraceError):
    """MLflow did not answer or refused; nothing was decided on models that it did not show."""

    exit_code = 6


def unknown(what: str, got: str, known: Iterable[str]) -> ConfigError:
    """Say that a name is none of those that there are, and which is the nearest."""
    listed = sorted(known)
    near = difflib.get_close_matches(got, listed, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return ConfigError(f"{what} must be one of {', '.join(listed)}, got {got!r}{hint}")
