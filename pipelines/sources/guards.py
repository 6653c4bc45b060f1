"""What is refused before any row is read: mixed sources, a changed key, dangling references."""

from __future__ import annotations

from collections.abc import Sequence

from features.pseudonyms import pseudonym
from pipelines.errors import ConfigError, DataContractError
from pipelines.io.lake import Lake
from pipelines.sources.delivery import DeliveredFile
from pipelines.sources.landed import SOURCES, landed_table
from pipelines.sources.layout import RawLayout


def check_source(lake: Lake, usecase: str, source: str) -> None:
    """Refuse, by a ``ConfigError``, data of another source than that of the lake; use another lake."""
    for row in lake.read(SOURCES, missing_ok=True).to_pylist():
        if row["usecase"] == usecase and row["source"] != source:
            raise ConfigError(
                f"{lake.root} holds {usecase} data of source {row['source']!r}, got {source!r}: a lake"
                " belongs to one source, so that two companies are never scored as one."
                " Set MILLRACE_LAKE to another folder."
            )


def check_key(lake: Lake, usecase: str, layouts: Sequence[RawLayout], key: bytes) -> None:
    """Refuse, by a ``ConfigError``, a changed key: the same account would get a second pseudonym and count as another."""
    for layout in layouts:
        name = landed_table(usecase, layout).name
        subject = layout.subject
        if subject is None or not layout.keeps_subject or not lake.exists(name):
            continue
        for row in lake.dataset(name).head(1, columns=[subject, layout.subject_key]).to_pylist():
            if pseudonym(row[subject], key=key) != row[layout.subject_key]:
                raise ConfigError(
                    f"{lake.root} was landed with a different pseudonym key than the one in use:"
                    " set MILLRACE_PSEUDONYM_KEY to the key of this lake, or start a new lake"
                )


def check_references(lake: Lake, usecase: str, delivered: Sequence[DeliveredFile]) -> None:
    """Refuse, by a ``DataContractError``, tables of which every row would refer to a table that was never delivered."""
    arriving = {file.layout.table.name for file in delivered}
    for layout in {file.layout.table.name: file.layout for file in delivered}.values():
        for column, table, _ in layout.references:
            if table not in arriving and not lake.exists(f"raw/{usecase}_{table}"):
                raise DataContractError(
                    f"{layout.table.name}.{column} refers to {table}, which is neither delivered nor landed:"
                    f" deliver {table} with it (every row would be quarantined); nothing was landed"
                )
