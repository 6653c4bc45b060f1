"""Explanation of one result, for whoever asks why it is as it is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from pipelines.errors import ConfigError, DataContractError
from pipelines.io.lake import Lake
from pipelines.settings import Settings
from pipelines.usecase import D, M, P, Record, UseCase


def run(
    usecase: UseCase[P, D, M],
    keys: Sequence[str],
    *,
    as_of: date | None = None,
    settings: Settings | None = None,
) -> Record:
    """Explain the result that ``keys`` name, of ``as_of`` or of the newest day.

    Raises
    ------
    ConfigError
        There are more or fewer keys than name a result.
    DataContractError
        There is no such result.
    """
    wanted = " ".join(key.upper() for key in usecase.explain.keys)
    if len(keys) != len(usecase.explain.keys):
        raise ConfigError(
            f"what is explained of {usecase.name} is named by {wanted}, got {' '.join(keys) or 'nothing'}: "
            f"run `millrace explain {usecase.name} {wanted}`"
        )
    settings = settings or Settings.load()
    return usecase.explain.run(usecase.run(as_of or _newest_day(usecase, Lake.of(settings)), settings), keys)


def _newest_day(usecase: UseCase[P, D, M], lake: Lake) -> date:
    table = usecase.results.name
    days = lake.days(table) if lake.exists(table) else []
    if not days:
        raise DataContractError(f"{table} has no rows: run `millrace score {usecase.name} --as-of DAY` first")
    return max(days)
