"""Engines: where the same function runs over groups of rows, on this machine or on Spark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipelines.engines.base import Engine, EngineError, GroupsLost
from pipelines.errors import ConfigError

if TYPE_CHECKING:
    from pipelines.settings import Settings

__all__ = ["Engine", "EngineError", "GroupsLost", "engine_of"]


def engine_of(name: str, settings: Settings, **options: Any) -> Engine:
    """Engine by its name; to be closed, or used as a context manager.

    Raises ``ConfigError`` if there is no such engine.

    Parameters
    ----------
    name
        ``local`` or ``spark``.
    settings
        Where a run keeps its files.
    **options
        Of :class:`~pipelines.engines.local.LocalEngine` (``workers``, ``worker_mb``) or of
        :class:`~pipelines.engines.spark.SparkEngine` (``master``, ``exchange``, ``conf``).
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
