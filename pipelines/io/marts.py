"""Marts of the dbt project: their contracts, and the way from a run's database into the lake."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from functools import cache
from pathlib import Path

import pyarrow as pa

from features.contracts import Contract, find_contract, read_docs
from pipelines.io.dbt import DbtRun
from pipelines.io.lake import Lake

#: Days for which removed partitions can still be read: by whoever opened the table before.
_READERS_DAYS = 1

#: Slowest nodes named in the record of a step.
_SLOWEST = 5


@cache
def mart_contract(project: Path, mart: str, model: str) -> Contract:
    """Contract of a model under ``models/marts/<mart>``, from whichever properties file declares it."""
    models = project / "models"
    return find_contract(models / "marts" / mart, model, docs=read_docs(models))


def mart_rows(built: DbtRun, contract: Contract, relation: str, days: Sequence[date]) -> pa.RecordBatchReader:
    """Rows of some days in the order of the key, so that equal contents make equal files."""
    listed = ", ".join(f"date '{day}'" for day in days)
    columns = ", ".join(contract.table.column_names)
    order = ", ".join(contract.table.key)
    return built.stream(f"select {columns} from {relation} where as_of in ({listed}) order by {order}")


def published_days(lake: Lake, contract: Contract) -> set[date]:
    """Days of which the mart's lake table holds a partition."""
    return set(lake.days(contract.table.name))


def drop_days(lake: Lake, contract: Contract, days: Iterable[date]) -> list[date]:
    """Remove partitions of a mart that is large and can be rebuilt from the raw tables at any time.

    Returns the days removed, oldest first.
    """
    old = sorted(days)
    if old:
        listed = ", ".join(f"'{day}'" for day in old)
        name = contract.table.name
        lake.delete(name, f"as_of IN ({listed})", metadata={"reason": "rebuildable, kept short"})
        lake.vacuum(name, retain_days=_READERS_DAYS)
    return old


def slowest(built: DbtRun) -> dict[str, float]:
    """Seconds of the slowest nodes, by name."""
    nodes = sorted(built.nodes, key=lambda node: -node.seconds)[:_SLOWEST]
    return {node.name.rpartition(".")[2]: round(node.seconds, 2) for node in nodes}
