"""Taking a person out of texts that may quote one: errors, samples, logs."""

from __future__ import annotations

import json
from typing import Any

from pipelines.privacy.person import ERASED, Person


def names(text: str, person: Person) -> bool:
    """Whether a text names the person."""
    return person.words.search(text) is not None


def redact(text: str, person: Person) -> str:
    """Take the person out of a text; in JSON, only string values change, and rows about the person are removed."""
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if isinstance(value, dict | list):
        return json.dumps(_redacted(value, person), default=str)
    return person.words.sub(ERASED, text)


def _redacted(value: Any, person: Person) -> Any:
    if isinstance(value, str):
        return redact(value, person) if names(value, person) else value
    if isinstance(value, list):
        return [ERASED if _is_row_of(each, person) else _redacted(each, person) for each in value]
    if isinstance(value, dict):
        return {redact(name, person): _redacted(each, person) for name, each in value.items()}
    return value


def _is_row_of(value: Any, person: Person) -> bool:
    """Whether an element of a list is a row whose key is the person, such as one of a publication's sample."""
    return isinstance(value, dict) and any(
        isinstance(each, str) and each in person.ids for each in value.values()
    )
