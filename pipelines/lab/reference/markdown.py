"""Markdown made of cells and paragraphs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Table with a head; cells may hold code spans."""
    lines = [head, ["---"] * len(head), *rows]
    escaped = (" | ".join(escape(cell).replace("|", "\\|") for cell in line) for line in lines)
    return "".join(f"| {line} |\n" for line in escaped)


def escape(text: str) -> str:
    """Text in which ``<var>`` outside code spans is not taken for HTML."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else part.replace("<", "&lt;") for part in parts)


def names(items: Iterable[str]) -> str:
    """Names as code, separated by commas."""
    return ", ".join(f"`{item}`" for item in items)
