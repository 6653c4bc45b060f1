"""Feature contracts: the columns that a dbt properties file declares, read for Python's use.

Name, type, null rule, range, theme and role of a feature are written once, beside the SQL that
computes it. dbt enforces the types there; the lake's audits, the model's column lists and the
report's words are derived from the same lines here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from features.schemas import Column, DType, Table

#: Types that a dbt contract may name, and what they are stored as.
DTYPES: Mapping[str, DType] = {dtype.sql: dtype for dtype in DType}


class Role(StrEnum):
    """What a column is for."""

    KEY = "key"
    SCOPE = "scope"
    SEGMENT = "segment"
    FEATURE = "feature"
    LABEL = "label"
    FIELD = "field"


@dataclass(frozen=True)
class Feature:
    """A column that models may learn from.

    Attributes
    ----------
    column
        Type, null rule, range and meaning.
    theme
        Business theme under which its contributions are summed and worded.
    segment
        Whether results are also broken down by it.
    """

    column: Column
    theme: str
    segment: bool

    @property
    def name(self) -> str:
        """Name of the column."""
        return self.column.name

    @property
    def categorical(self) -> bool:
        """Whether it holds categories; everything else is a number (booleans as 0 and 1)."""
        return self.column.dtype is DType.STRING


@dataclass(frozen=True)
class Contract:
    """Declared contract of one dbt model.

    Attributes
    ----------
    table
        Columns, key and lake name.
    roles
        Role per column name.
    features
        In storage order; empty for tables without any.
    segments
        Columns by which results are broken down, in storage order.
    """

    table: Table
    roles: Mapping[str, Role]
    features: tuple[Feature, ...]
    segments: tuple[str, ...]

    @property
    def numeric(self) -> list[str]:
        """Names of the numeric and boolean features."""
        return [feature.name for feature in self.features if not feature.categorical]

    @property
    def categorical(self) -> list[str]:
        """Names of the features that hold categories."""
        return [feature.name for feature in self.features if feature.categorical]

    @property
    def themes(self) -> dict[str, str]:
        """Theme per feature name."""
        return {feature.name: feature.theme for feature in self.features}

    def with_role(self, role: Role) -> list[str]:
        """Names of the columns with a role."""
        return [name for name, given in self.roles.items() if given is role]


def read_contract(properties: Path, model: str, *, docs: Mapping[str, str] | None = None) -> Contract:
    """Read the contract of a model from its dbt properties file.

    Parameters
    ----------
    properties
        YAML file with ``models:``.
    model
        Name of the model.
    docs
        Texts for ``{{ doc('name') }}`` descriptions, see :func:`read_docs`.

    Raises
    ------
    ValueError
        There is no such model, or a column lacks type, description or role, or a feature its theme;
        the message names file, model, column and rule.
    """
    content = yaml.safe_load(properties.read_text())
    return parse_contract(content, model, docs=docs or {}, where=properties.name)


def find_contract(folder: Path, model: str, *, docs: Mapping[str, str] | None = None) -> Contract:
    """Read the contract of a model from whichever properties file of a folder declares it.

    Raises
    ------
    ValueError
        No file of the folder does, or see :func:`read_contract`.
    """
    declared: list[str] = []
    for properties in sorted(folder.glob("_*.yml")):
        content = yaml.safe_load(properties.read_text())
        names = [entry["name"] for entry in content.get("models", [])]
        if model in names:
            return parse_contract(content, model, docs=docs or {}, where=properties.name)
        declared += names
    raise ValueError(
        f"a properties file in {folder} must declare model {model!r}, they have {sorted(declared)}"
    )


def parse_contract(
    content: Mapping[str, Any], model: str, *, docs: Mapping[str, str], where: str = "properties"
) -> Contract:
    """Contract of a model from parsed dbt properties; see :func:`read_contract`."""
    found = {entry["name"]: entry for entry in content.get("models", [])}
    if model not in found:
        raise ValueError(f"{where} must declare model {model!r}, it has {sorted(found)}")
    entry = found[model]
    meta = _meta(entry)
    missing = {"lake_table", "lake_key"} - set(meta)
    if missing:
        raise ValueError(f"{where}: {model} must have config.meta.{sorted(missing)}")

    columns: list[Column] = []
    roles: dict[str, Role] = {}
    features: list[Feature] = []
    segments: list[str] = []
    for declared in entry.get("columns", []):
        spot = f"{where}: {model}.{declared['name']}"
        column = _column(declared, docs, spot)
        facts = _meta(declared)
        if facts.get("role") not in list(Role):
            raise ValueError(f"{spot} must have config.meta.role of {[*Role]}, got {facts.get('role')!r}")
        role = Role(facts["role"])
        if role is Role.FEATURE:
            if not facts.get("theme"):
                raise ValueError(f"{spot} is a feature and must have config.meta.theme")
            features.append(Feature(column, facts["theme"], bool(facts.get("segment"))))
        if role is Role.SEGMENT or facts.get("segment"):
            segments.append(column.name)
        columns.append(column)
        roles[column.name] = role
    table = Table(
        name=meta["lake_table"],
        description=" ".join(entry["description"].split()),
        columns=tuple(columns),
        key=tuple(meta["lake_key"]),
        partition_by=tuple(meta.get("lake_partition", ())),
    )
    return Contract(table, roles, tuple(features), tuple(segments))


def read_docs(folder: Path) -> dict[str, str]:
    """Texts of the ``{% docs name %}`` blocks of the Markdown files below a folder."""
    blocks = {}
    for file in sorted(folder.rglob("*.md")):
        for part in file.read_text().split("{% docs ")[1:]:
            name, _, rest = part.partition("%}")
            blocks[name.strip()] = " ".join(rest.partition("{% enddocs %}")[0].split())
    return blocks


def _meta(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    meta: Mapping[str, Any] = (entry.get("config") or {}).get("meta") or {}
    return meta


def _column(declared: Mapping[str, Any], docs: Mapping[str, str], spot: str) -> Column:
    dtype = DTYPES.get(str(declared.get("data_type")))
    if dtype is None:
        raise ValueError(f"{spot} must have data_type of {sorted(DTYPES)}, got {declared.get('data_type')!r}")
    description = _description(str(declared.get("description") or ""), docs, spot)
    constraints = {constraint["type"] for constraint in declared.get("constraints", [])}
    facts = _meta(declared)
    return Column(
        name=declared["name"],
        dtype=dtype,
        description=description,
        unit=facts.get("unit"),
        nullable="not_null" not in constraints,
        minimum=facts.get("minimum"),
        maximum=facts.get("maximum"),
        allowed=_allowed(declared),
    )


def _description(text: str, docs: Mapping[str, str], spot: str) -> str:
    words = " ".join(text.split())
    if words.startswith("{{ doc("):
        name = words.split("'")[1]
        if name not in docs:
            raise ValueError(f"{spot} refers to the docs block {name!r}, there are {sorted(docs)}")
        words = docs[name]
    if not words:
        raise ValueError(f"{spot} must have a description")
    return words


def _allowed(declared: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Values of dbt's ``accepted_values`` test, so that they are listed once."""
    for test in declared.get("data_tests", []):
        if isinstance(test, dict) and "accepted_values" in test:
            return tuple(test["accepted_values"]["arguments"]["values"])
    return None
