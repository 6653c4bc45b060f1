"""What docstrings in numpydoc's form say, for help texts and the reference page."""

from __future__ import annotations

import inspect
import re


def described(thing: object, section: str = "Parameters") -> dict[str, str]:
    """Meaning by name, from one section of a docstring; backticks single."""
    text = inspect.getdoc(thing) or ""
    text = text.partition(f"{section}\n{'-' * len(section)}\n")[2]
    text = re.split(r"\n\n\S[^\n]*\n-+\n", text)[0]
    meanings: dict[str, str] = {}
    for block in re.split(r"\n(?=\S)", text):
        names, _, words = block.partition("\n")
        for name in names.partition(" : ")[0].split(", "):
            meanings[name.strip()] = _flat(words)
    return meanings


def summary(thing: object) -> str:
    """Text of a docstring before its sections, one line per paragraph."""
    text = re.split(r"\n\S[^\n]*\n-+\n", "\n" + (inspect.getdoc(thing) or ""))[0]
    return "\n\n".join(_flat(paragraph) for paragraph in text.strip().split("\n\n"))


def _flat(text: str) -> str:
    return " ".join(text.replace("``", "`").split())
