"""Which tables of the lake a model of the dbt project reads, directly or through other models."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import yaml

from pipelines.errors import ConfigError

_REF = re.compile(r"\bref\(\s*'(\w+)'\s*\)")
_SOURCE = re.compile(r"\bsource\(\s*'(\w+)',\s*'(\w+)'\s*\)")


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
