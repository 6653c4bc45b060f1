"""Benches: commands that measure speed and accuracy; numbers quoted in the docs come from them.

Every module here with a function ``run`` is one; its parameters are the options of ``millrace bench``.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path


def benches() -> Mapping[str, Path]:
    """Find the files of the benches by name; nothing is imported."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return {file.stem.replace("_", "-"): file for file in files if _has_run(file)}


def _has_run(file: Path) -> bool:
    top = ast.parse(file.read_text(encoding="utf-8")).body
    return any(isinstance(node, ast.FunctionDef) and node.name == "run" for node in top)
