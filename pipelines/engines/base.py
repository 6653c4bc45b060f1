"""What an engine is: something that applies one function to the groups of a table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Self

import pandas as pd

from pipelines.errors import MillraceError

#: Pure function of the rows of one group. Of no rows it returns none, which tells its columns and types.
GroupFunction = Callable[[pd.DataFrame], pd.DataFrame]

#: Called with the number of finished groups and of all.
Progress = Callable[[int, int], None]

#: Variables that keep libraries to one thread in each worker: the parallelism is between groups.
_THREADS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS", "STAN_NUM_THREADS",
)  # fmt: skip
ONE_THREAD = dict.fromkeys(_THREADS, "1")

#: Column of a row's place in the exchanged table, and in its group's result: Spark keeps neither.
PLACE = "_place"
#: Column of the group of a row of the result.
GROUP = "_group"
#: A line of the Spark job's output with this start tells how many groups are done.
PROGRESS = "GROUPS DONE"


class EngineError(MillraceError):
    """The engine itself failed: it does not start, or the function raised on a group."""


class GroupsLost(EngineError):
    """The process of ``groups`` died each time that they were tried; ``rest`` is the result of all others."""

    def __init__(self, message: str, groups: list[str], rest: pd.DataFrame) -> None:
        super().__init__(message)
        self.groups = groups
        self.rest = rest


class Engine(ABC):
    """Applies a function to groups of rows. The result does not depend on which engine does it."""

    name: str

    @abstractmethod
    def map_groups(
        self, function: GroupFunction, frame: pd.DataFrame, *, key: str, progress: Progress | None = None
    ) -> pd.DataFrame:
        """Apply ``function`` to the rows of each value of the str column ``key``; results come in the order of the keys.

        The function is pure and importable by name; rows of a group reach it in their order, with a fresh
        index. ``progress`` is called after every finished group. Raises ``EngineError`` if the function raised;
        the message names the group and holds the traceback. Raises ``GroupsLost`` if the process of some groups
        died each time; the error carries the results of all others.
        """

    def close(self) -> None:  # noqa: B027 - most have nothing to stop
        """Stop what was started."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def groups_of(frame: pd.DataFrame, key: str) -> list[tuple[str, pd.DataFrame]]:
    """Rows of each group, in the order of the keys."""
    return [
        (str(value), rows.reset_index(drop=True))
        for value, rows in frame.groupby(key, sort=True, observed=True)
    ]


def joined(parts: list[pd.DataFrame], empty: pd.DataFrame) -> pd.DataFrame:
    """Parts concatenated, with the columns and types of ``empty``."""
    filled = [part for part in parts if len(part)]
    if not filled:
        return empty
    return pd.concat(filled, ignore_index=True)[list(empty.columns)].astype(empty.dtypes.to_dict())
