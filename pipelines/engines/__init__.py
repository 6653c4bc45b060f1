"""Engines: where the same function runs over groups of rows, on this machine or on Spark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipelines.engines.base import Engine, EngineError, GroupsLost
from pipelines.errors import ConfigError

if TYPE_CHECKING:
    from pipelines.settings import Settings

__all__ = ["Engine", "EngineError", "GroupsLost", "engine_of"]


def engine_of(name: str, settings: Settings, **options: Any) -> Engine:
    """Engine ``local`` or ``spark``; to be closed, or used as a context manager.

    The options are those of :class:`~pipelines.engines.local.LocalEngine` (``workers``, ``worker_mb``) or of
    :class:`~pipelines.engines.spark.SparkEngine` (``master``, ``exchange``, ``conf``), whose files are kept where the
    settings say. Raises ``ConfigError`` if there is no such engine.
    """
    # Imported when asked for: a worker process of the one needs nothing of the other.
    if name == "local":
        from pipelines.engines.local import LocalEngine

        return LocalEngine(**options)
    if name == "spark":
        from pipelines.engines.spark import SparkEngine

        return SparkEngine(
            **{"exchange": str(settings.var / "exchange"), "scratch": settings.var / "spark", **options}
        )
    raise ConfigError(f"engine must be local or spark, got {name!r}")
