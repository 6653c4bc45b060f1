"""Features: one run of dbt over the raw tables, audited and published as partitions of the lake."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from features.schemas import Table
from pipelines.discovery import find
from pipelines.errors import ConfigError
from pipelines.io.dbt import project_hash, run_dbt
from pipelines.io.hashing import content_hash
from pipelines.io.lake import on_day
from pipelines.io.marts import drop_days, mart_rows, published_days, slowest
from pipelines.settings import Settings
from pipelines.usecase import D, M, Mart, P, Plan, Record, Run, Span, UseCase

log = logging.getLogger(__name__)


def run(
    usecase: UseCase[P, D, M],
    as_of: date,
    *,
    settings: Settings | None = None,
    params: P | None = None,
    training: bool = False,
    only_if_missing: bool = False,
    pins: Mapping[str, int] | None = None,
) -> Record:
    """Build the features of ``as_of`` and what else the use case's plan asks for, see :class:`pipelines.steps.Options`.

    Raises ``DataContractError`` if a raw table is missing, a dbt test or an audit failed: nothing was
    published.

    Returns the use case's own counts, ``rows`` and ``versions`` per table written, ``snapshots``,
    ``source_versions``, ``features_hash`` (content of the day's rows of the mart that is scored),
    ``code_hash``, ``seconds_dbt``, ``slowest``; ``published`` is False if nothing was to be done.
    """
    here = usecase.run(as_of, settings, params)
    lake, plan = here.lake, usecase.plan(here, training)
    days = _days(as_of, plan)
    if only_if_missing and _is_published(usecase, here, days):
        log.info("features of %s are published already", as_of)
        return {"as_of": as_of.isoformat(), "published": False}

    marts = [mart for mart in usecase.marts if days[mart.span]]
    reads, may_be_absent = tables_read(usecase)
    built = run_dbt(
        here.settings,
        run_id=f"{usecase.name}-prepare-{as_of}-{uuid.uuid4().hex[:8]}",
        select=[f"+{mart.model}" for mart in marts],
        tables=reads,
        as_of_dates=days[Span.FEATURES],
        label_dates=days[Span.LABELS],
        parameters=plan.parameters,
        pins=pins,
        may_be_absent=may_be_absent,
    )
    counts = usecase.summarise(here, built)
    code = project_hash(here.settings.dbt_project)
    metadata = {"source_versions": dict(built.versions), "code_hash": code}
    versions: dict[str, int] = {}
    rows: dict[str, int] = {}
    for mart in marts:
        contract, written = here.mart(mart.model), days[mart.span]
        data = mart_rows(built, contract, f"ml.{mart.model}", written)
        commit = lake.replace_partitions(contract.table, data, "as_of", written, metadata=metadata)
        versions[commit.table], rows[commit.table] = commit.version, commit.rows
        _drop_old(here, mart, days)
    built.discard()
    scored = here.mart(usecase.grain).table
    today = lake.read(scored, where=on_day(as_of), version=versions[scored.name])
    return {
        "as_of": as_of.isoformat(),
        "published": True,
        **counts,
        "rows": rows,
        "versions": versions,
        "snapshots": len(plan.snapshots),
        "source_versions": dict(built.versions),
        "features_hash": content_hash(today, sort_by=scored.key),
        "code_hash": code,
        "seconds_dbt": round(built.seconds, 2),
        "slowest": slowest(built),
    }


def tables_read(usecase: UseCase[Any, Any, Any]) -> tuple[list[Table], list[str]]:
    """Tables that the SQL of a use case reads, own and borrowed, and the names of those that may be absent.

    Raises ``ConfigError`` if it borrows a table that the other use case does not have.
    """
    tables = list(usecase.raw_tables)
    absent = [usecase.raw(name).name for name in usecase.optional]
    for borrowed in usecase.borrows:
        lender = find(borrowed.usecase)
        lent = {table.name: table for table in (*lender.raw_tables, *lender.tables)}
        lent |= {lender.raw(name).name: lender.raw(name) for name in lender.unread}
        if borrowed.table not in lent:
            raise ConfigError(f"{usecase.name} borrows {borrowed.table}, {lender.name} has {sorted(lent)}")
        tables.append(lent[borrowed.table])
        absent += [borrowed.table] if borrowed.optional else []
    return tables, absent


def _days(as_of: date, plan: Plan) -> Mapping[Span, Sequence[date]]:
    return {
        Span.TODAY: [as_of],
        Span.FEATURES: sorted({as_of, *plan.snapshots}),
        Span.LABELS: sorted({*plan.matured, *plan.snapshots}),
        Span.SNAPSHOTS: sorted(plan.snapshots),
    }


def _is_published(usecase: UseCase[P, D, M], here: Run[P], days: Mapping[Span, Sequence[date]]) -> bool:
    """Whether every mart that tells has every day; labels of matured days are built again with each run."""
    telling = [mart for mart in usecase.marts if not mart.sparse and mart.span is not Span.LABELS]
    return all(set(days[mart.span]) <= published_days(here.lake, here.mart(mart.model)) for mart in telling)


def _drop_old(here: Run[P], mart: Mart[P], days: Mapping[Span, Sequence[date]]) -> None:
    """Remove days that a mart does not keep; that of ``as_of`` stays, also in a backfill."""
    contract = here.mart(mart.model)
    if mart.span is Span.SNAPSHOTS:
        drop_days(here.lake, contract, published_days(here.lake, contract) - set(days[mart.span]))
    elif mart.kept is not None:
        newest = sorted(published_days(here.lake, contract) - {here.as_of}, reverse=True)
        drop_days(here.lake, contract, newest[mart.kept(here.params) - 1 :])
