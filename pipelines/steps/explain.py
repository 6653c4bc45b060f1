"""Explanation of one result, for whoever asks why it is as it is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from pipelines.errors import ConfigError, DataContractError
from pipelines.io.lake import Lake, having
from pipelines.settings import Settings
from pipelines.usecase import D, Explain, M, P, Record, Run, UseCase


def run(
    usecase: UseCase[P, D, M],
    keys: Sequence[str],
    *,
    as_of: date | None = None,
    settings: Settings | None = None,
) -> Record:
    """Explain the result that ``keys`` name, of ``as_of`` or of the newest day.

    Raises ``ConfigError`` if there are more or fewer keys than name a result. Raises ``DataContractError`` if
    there is no such result.
    """
    how = explanation_of(usecase)
    wanted = " ".join(key.upper() for key in how.keys)
    if len(keys) != len(how.keys):
        raise ConfigError(
            f"what is explained of {usecase.name} is named by {wanted}, got {' '.join(keys) or 'nothing'}: "
            f"run `millrace explain {usecase.name} {wanted}`"
        )
    settings, table = settings or Settings.load(), usecase.results.name
    day = as_of or max(Lake.of(settings).days(table), default=None)
    if day is None:
        raise DataContractError(f"{table} has no rows: run `millrace score {usecase.name} --as-of DAY` first")
    return how.run(usecase.run(day, settings), keys)


def explanation_of(usecase: UseCase[P, D, M]) -> Explain[P]:
    """How a use case explains a result; one without words of its own shows the row."""
    if usecase.explain is not None:
        return usecase.explain
    names = tuple(name for name in usecase.results.key if name != "as_of")

    def row(here: Run[P], keys: Sequence[str]) -> Record:
        wanted = having(**dict(zip(names, keys, strict=True)), as_of=here.as_of)
        found = here.lake.read(usecase.results, where=wanted, missing_ok=True)
        if not found.num_rows:
            raise DataContractError(f"no result of {' '.join(keys)} on {here.as_of}: {here.command('score')}")
        return dict(found.to_pylist()[0])

    return Explain(names, row, lambda record: "\n".join(f"{name}: {value}" for name, value in record.items()))
