"""Simulations of companies whose truth is known.

Every folder here is one: it has ``generate``, whose parameters are the options of ``millrace generate``, and a module
``truth`` that declares what is kept aside.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def simulations() -> Mapping[str, Path]:
    """Find the packages of the simulations by name of the use case; nothing is imported."""
    return {file.parent.name: file for file in sorted(Path(__file__).parent.glob("*/__init__.py"))}
