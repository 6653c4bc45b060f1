"""Names of the use cases: the folders below ``pipelines/usecases``, found and never listed.

Light: the command line and every DAG file import it.
"""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib.resources import files

#: Package whose folders are the use cases.
PACKAGE = "pipelines.usecases"


@cache
def names() -> tuple[str, ...]:
    """Names of the use cases, sorted; nothing is imported."""
    found = pkgutil.iter_modules([str(files(PACKAGE))])
    return tuple(sorted(module.name for module in found if module.ispkg))
