"""Scoring: the day's results by the serving model, audited before they are committed."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pyarrow as pa

from pipelines.io.commits import as_rows, commit_day
from pipelines.io.hashing import content_hash
from pipelines.io.quality import quality_audit
from pipelines.io.registry import CHAMPION, Registry
from pipelines.settings import Settings
from pipelines.usecase import D, M, P, Record, UseCase


def run(
    usecase: UseCase[P, D, M],
    as_of: date,
    *,
    settings: Settings | None = None,
    params: P | None = None,
    alias: str = CHAMPION,
) -> Record:
    """Compute the results of ``as_of`` with the model that carries ``alias``.

    Tables are committed in the order in which the use case yields them. Readers go by the last, its results:
    a day whose audit fails keeps the results it had. Raises ``ModelGateError`` if no version carries the
    alias. Raises ``DataContractError`` if the day has no features, or an audit failed.

    Returns ``model_version``, what the use case reports, ``rows``, ``lake_version`` of the results, and
    ``content_hash`` unless they are streamed.
    """
    here = usecase.run(as_of, settings, params)
    registry = Registry(here.settings, usecase.name)
    version = registry.serving(alias)
    model: M = registry.load(version)
    record: Record = {"model_version": version.label}
    for output in usecase.predict(here, model, version):
        rows = output.rows
        if isinstance(rows, pd.DataFrame):
            rows = as_rows(output.table, rows, as_of, version.label)
        examined = output.examined or output.table is usecase.results
        commit = commit_day(
            here.lake,
            output.table,
            as_of,
            rows,
            version.label,
            audits=output.audits,
            examine=quality_audit(output.table, here.settings) if examined else None,
            metadata=output.metadata,
        )
        record |= {**output.record, "rows": commit.rows, "lake_version": commit.version}
        if output.table is usecase.results and isinstance(rows, pa.Table):
            record["content_hash"] = content_hash(rows, sort_by=output.table.key)
    return record
