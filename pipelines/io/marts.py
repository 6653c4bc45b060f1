"""Marts of the dbt project: their contracts, the tables behind them, and the way from a run's database into the lake."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date
from functools import cache
from pathlib import Path

import pyarrow as pa
import yaml

from features.contracts import Contract, find_contract, read_docs
from pipelines.errors import ConfigError
from pipelines.io.dbt import DbtRun
from pipelines.io.lake import Lake

#: Days for which removed partitions can still be read: by whoever opened the table before.
_READERS_DAYS = 1

#: Slowest nodes named in the record of a step.
_SLOWEST = 5

_REF = re.compile(r"\bref\(\s*'(\w+)'\s*\)")
_SOURCE = re.compile(r"\bsource\(\s*'(\w+)',\s*'(\w+)'\s*\)")


@cache
def mart_contract(project: Path, mart: str, model: str) -> Contract:
    """Contract of a model under ``models/marts/<mart>``, from whichever properties file declares it."""
    models = project / "models"
    return find_contract(models / "marts" / mart, model, docs=read_docs(models))


@cache
def tables_behind(project: Path, *models: str) -> frozenset[str]:
    """Names of the tables in the lake that models read, for instance ``raw/shop_orders``.

    Raises ``ConfigError`` if a model, or a source that one reads, is not in the project.
    """
    files = {path.stem: path for path in (project / "models").rglob("*.sql")}
    seeds = {path.stem for path in (project / "seeds").rglob("*.csv")}
    sources, tables, open_, done = _sources(project), set(), set(models), set(seeds)
    while open_ - done:
        model = min(open_ - done)
        if model not in files:
            raise ConfigError(f"the dbt project has no model {model}")
        sql = files[model].read_text()
        for source in _SOURCE.findall(sql):
            if source not in sources:
                raise ConfigError(
                    f"{model} reads the source {'.'.join(source)}, which the dbt project does not have"
                )
            tables.add(sources[source])
        open_ |= set(_REF.findall(sql))
        done.add(model)
    return frozenset(tables)


def _sources(project: Path) -> dict[tuple[str, str], str]:
    """Tables in the lake by the names that dbt gives source and table."""
    contents = [yaml.safe_load(path.read_text()) or {} for path in (project / "models").rglob("*.yml")]
    return {
        (
            source["name"],
            table["name"],
        ): f"{source.get('schema', source['name'])}/{table.get('identifier', table['name'])}"
        for content in contents
        for source in content.get("sources", ())
        for table in source["tables"]
    }


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
    """Remove partitions of a mart that is large and can be rebuilt at any time; returns the days, oldest first."""
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
