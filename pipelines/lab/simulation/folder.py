"""The folder of a generated delivery: written aside, and swapped in when it is complete."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.errors import ConfigError

#: What a delivery was generated with; also the mark by which an earlier delivery is recognised.
PARAMETERS = "truth/parameters.json"


@contextmanager
def replacing(to: Path) -> Iterator[Path]:
    """Folder to write in, which takes the place of ``to`` when all went well.

    Raises
    ------
    ConfigError
        ``to`` holds something else than an earlier delivery.
    """
    if to.exists() and any(to.iterdir()) and not (to / PARAMETERS).exists():
        raise ConfigError(f"{to} is not empty and holds no earlier delivery; choose another folder")
    aside = to.with_name(to.name + ".partial")
    shutil.rmtree(aside, ignore_errors=True)
    (aside / "truth").mkdir(parents=True)
    yield aside
    shutil.rmtree(to, ignore_errors=True)
    aside.rename(to)
