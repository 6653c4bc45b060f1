"""The use cases: one folder each, found and never listed.

Light: the command line and every DAG file import it; a use case is imported when its declaration is asked for, by
:func:`pipelines.discovery.find`.
"""

from __future__ import annotations

import pkgutil
from functools import cache


@cache
def names() -> tuple[str, ...]:
    """Names of the use cases, sorted; nothing is imported."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.ispkg))
