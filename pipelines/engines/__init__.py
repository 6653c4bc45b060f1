"""Engines: where the same function runs over groups of rows, on this machine or on Spark."""

from __future__ import annotations

from typing import Any

from pipelines.engines.base import Engine, EngineError, GroupsLost
from pipelines.engines.local import LocalEngine
from pipelines.errors import ConfigError
from pipelines.settings import Settings

__all__ = ["Engine", "EngineError", "GroupsLost", "engine_of"]


def engine_of(name: str, settings: Settings, **options: Any) -> Engine:
    """Engine by its name.

    Parameters
    ----------
    name
        ``local``.
    settings
        Where a run keeps its files.
    **options
        Of :class:`~pipelines.engines.local.LocalEngine`.

    Raises
    ------
    ConfigError
        There is no such engine.
    """
    if name == "local":
        return LocalEngine(**options)
    raise ConfigError(f"engine must be local, got {name!r}")
