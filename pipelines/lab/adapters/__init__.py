"""Adapters of public data sets: ``<use case>/<source>.py`` declares ``ADAPTER``, found by its name."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.sources.adapter import Adapter


def adapters(usecase: str) -> Mapping[str, Callable[[], Adapter]]:
    """Find the public data sets that a use case can ingest, by name of the source; nothing is imported."""
    found = pkgutil.iter_modules([str(Path(__file__).parent / usecase)])
    return {
        module.name: partial(_load, usecase, module.name)
        for module in found
        if not module.name.startswith("_")
    }


def _load(usecase: str, source: str) -> Adapter:
    adapter: Adapter = import_module(f"{__name__}.{usecase}.{source}").ADAPTER
    return adapter
