"""Publication: the day's results in the systems of the users, every row accounted for."""

from __future__ import annotations

import getpass
import uuid
from collections import Counter
from collections.abc import Mapping
from datetime import date

import pyarrow as pa

from pipelines.errors import ConfigError
from pipelines.io.dbt import run_dbt
from pipelines.io.lake import Lake
from pipelines.io.marts import tables_behind
from pipelines.io.promotions import require_served
from pipelines.settings import Settings
from pipelines.sinks.dynamodb.rollback import rollback
from pipelines.sinks.report import Asked
from pipelines.sinks.target import DynamoNamespace
from pipelines.steps.prepare import tables_read
from pipelines.usecase import D, M, P, Record, Run, UseCase


def run(
    usecase: UseCase[P, D, M],
    as_of: date,
    *,
    settings: Settings | None = None,
    params: P | None = None,
    dry_run: bool = False,
    force: bool = False,
    retry_dead: bool = False,
) -> Record:
    """Make every target of the use case say what the results of ``as_of`` say, sending only what differs.

    Called again after a crash it resumes; after success it does nothing. The options are those of
    :class:`pipelines.sinks.report.Asked`. Raises ``ConfigError`` if the use case publishes nothing,
    ``DataContractError`` if the day has no results, or they must not leave the lake, ``ModelGateError`` if they
    come from a model that never was champion, and ``SinkError`` if a guard refused, or a system did not take
    all rows. The ledger knows every row; the next call resumes.

    Returns rows by fate, see :class:`pipelines.sinks.report.PublishReport`; of several targets, by sink; by
    sink and object where a sink has several.
    """
    if not usecase.targets:
        raise ConfigError(f"{usecase.name} publishes nothing: its results are read in the lake")
    here = usecase.run(as_of, settings, params)
    usecase.publishable(here)
    require_served(here.lake, usecase.results, usecase.name, as_of, force=force)
    outbound, asked = _outbound(usecase, here), Asked(dry_run, force, retry_dead)
    reports = [
        target.publish(outbound[target.export], as_of, here.params, asked, here.settings, here.lake)
        for target in usecase.targets
    ]
    if len(reports) == 1:
        return reports[0].record()
    several = Counter(report.sink for report in reports)
    return {
        report.sink if several[report.sink] == 1 else f"{report.sink}/{report.object}": report.record()
        for report in reports
    }


def roll_back(usecase: UseCase[P, D, M], settings: Settings, *, why: str, on: date | None = None) -> Record:
    """Let the version that readers of DynamoDB saw before serve again; models, lake and CRM stay as they are.

    A second rollback goes one version further back. The next publication goes forward again. ``why`` is written
    to ``ops/publish_flips`` with the name of the user. A version that is not kept through ``on``, today, is
    refused; by default that is the day that serves. Raises ``ConfigError`` if the use case publishes no
    versions, and ``SinkError`` if there is no such version, or it has expired or is incomplete; what served
    still serves. Returns what serves now; by namespace if several went back.
    """
    namespaces = [each.namespace for each in usecase.targets if isinstance(each, DynamoNamespace)]
    if not namespaces:
        raise ConfigError(
            f"{usecase.name} publishes no versions that could be rolled back: only what DynamoDB serves can be. "
            "Without --published the previous model serves again"
        )
    who = getpass.getuser()
    back = rollback(namespaces, settings, Lake.of(settings), why=why, who=who, on=on)
    records: Record = {
        name: {
            "serves": pointer.version,
            "as_of": pointer.as_of.isoformat(),
            "kept_through": pointer.kept_through.isoformat(),
            "revision": pointer.revision,
            "why": why,
        }
        for name, pointer in back.items()
    }
    return records if len(records) > 1 else next(iter(records.values()))


def _outbound(usecase: UseCase[P, D, M], here: Run[P]) -> Mapping[str, pa.Table]:
    """Build the outbound rows of the day, by export; the sinks add nothing to what they say."""
    raw, absent = tables_read(usecase)
    exports = [target.export for target in usecase.targets]
    read = tables_behind(here.settings.dbt_project, *exports)
    built = run_dbt(
        here.settings,
        run_id=f"{usecase.name}-publish-{here.as_of}-{uuid.uuid4().hex[:8]}",
        select=[*(f"+{export}" for export in exports), "stg_run__parameters"],
        tables=[table for table in (*raw, *usecase.tables) if table.name in read],
        as_of_dates=[here.as_of],
        parameters=usecase.plan(here, False).parameters,
        may_be_absent=[*absent, *(table.name for table in usecase.tables if table is not usecase.results)],
    )
    rows = {
        target.export: built.read(f'select * from exports.{target.export} order by "{target.key}"')
        for target in usecase.targets
    }
    built.discard()
    return rows
