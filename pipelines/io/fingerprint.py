"""Fingerprints of code: what a model was made by."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

_SUFFIXES = {".py", ".sql", ".yml", ".csv"}


def code_fingerprint(home: Path, folders: Sequence[str], *facts: str) -> str:
    """Short hash of the files that decide what a model is, and of further facts."""
    digest = hashlib.sha256("|".join(facts).encode())
    for folder in folders:
        for path in sorted((home / folder).rglob("*")):
            if path.suffix in _SUFFIXES:
                digest.update(path.relative_to(home).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]
