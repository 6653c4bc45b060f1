"""Demand, publication: the day's forecasts in DynamoDB, all at once, every item accounted for."""

from __future__ import annotations

import uuid
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pa_dataset

from pipelines.errors import ConfigError, DataContractError
from pipelines.io.dbt import run_dbt
from pipelines.io.lake import Lake
from pipelines.io.promotions import require_served
from pipelines.settings import Settings
from pipelines.sinks.dynamodb import rollback as versions
from pipelines.sinks.dynamodb.publisher import publish
from pipelines.sinks.dynamodb.reader import Reader
from pipelines.sinks.dynamodb.target import DynamoTarget, LoadOptions, configured
from pipelines.usecases.demand.contracts import USECASE
from pipelines.usecases.demand.params import DemandParams
from pipelines.usecases.demand.prepare import sql_parameters
from pipelines.usecases.demand.schemas import AGGREGATES, CERTIFICATES, FORECASTS

#: Prefix of all keys in the table.
NAMESPACE = USECASE

#: Outbound column that is the key of an item.
KEY = "item_key"


def run(
    as_of: date,
    *,
    settings: Settings | None = None,
    params: DemandParams | None = None,
    dry_run: bool = False,
    force: bool = False,
    retry_dead: bool = False,
) -> dict[str, Any]:
    """Let planners and the order system read the forecasts of ``as_of``.

    They see the whole new version or the whole old one, never a mixture. Called again after a crash it
    resumes; after success it does nothing.

    Parameters
    ----------
    dry_run
        Count and show five items, send nothing.
    force
        Publish a day older than the newest published one, far fewer items than serve, a version that
        was rolled back, or forecasts of models that the gate never let serve. A breached certificate cannot
        be forced.
    retry_dead
        Send the items again that DynamoDB refused for good, once the cause is mended.

    Returns
    -------
    dict
        Items by fate, the version that serves, write units used; see
        :class:`pipelines.sinks.report.PublishReport`.

    Raises
    ------
    DataContractError
        The day has no forecasts, or its certificate is breached or missing.
    ModelGateError
        The forecasts come from a version that never was champion.
    SinkError
        A guard refused, or DynamoDB did not take all items: what served before still serves, and the next
        call resumes.
    """
    settings, params = settings or Settings.load(), params or DemandParams.load_default()
    lake, target = Lake.of(settings), _target(settings, params)
    _check_certificates(lake, as_of)
    require_served(lake, FORECASTS, USECASE, as_of, force=force)
    report = publish(
        _outbound(settings, params, as_of),
        as_of=as_of,
        target=target,
        settings=settings,
        lake=lake,
        options=LoadOptions(
            force=force,
            dry_run=dry_run,
            retry_dead=retry_dead,
            max_write_units=params.publish.max_write_units,
            ledger_days=params.publish.retention_days,
        ),
    )
    return report.record()


def rollback(
    settings: Settings, *, why: str, to: str | None = None, on: date | None = None
) -> dict[str, Any]:
    """Let the forecasts that served before serve again; models and forecasts in the lake stay as they are.

    A second rollback goes one version further back. The next publication goes forward again.

    Parameters
    ----------
    why
        Written to ``ops/publish_flips`` with the name of the user.
    to
        Version to go back to; the one that served before by default.
    on
        Today: a version that is not kept through it is refused. By default the day that serves.

    Raises
    ------
    SinkError
        There is no such version, or it has expired or is not whole; what served still serves.
    """
    return versions.serve_earlier(NAMESPACE, settings, why=why, to=to, on=on)


def served(settings: Settings) -> dict[str, Any]:
    """Tell what readers see now: version, day, number of items, and how long it is sure to be there.

    Raises
    ------
    SinkError
        Nothing was published yet.
    """
    with Reader.open(settings, NAMESPACE) as reader:
        pointer = reader.current()
    return {
        "serves": pointer.version,
        "as_of": pointer.as_of.isoformat(),
        "items": pointer.items,
        "kept_through": pointer.kept_through.isoformat(),
        "revision": pointer.revision,
    }


def _target(settings: Settings, params: DemandParams) -> DynamoTarget:
    """Where the items go, kept for as long as they have something to say."""
    days, horizon = params.publish.retention_days, params.horizon_days
    if days < horizon:
        raise ConfigError(
            f"publish.retention_days must be at least horizon_days ({horizon}), got {days}: a version would "
            "expire before its last day, also while no newer one has come"
        )
    return DynamoTarget(configured(settings).table, NAMESPACE, KEY, retention_days=days)


def _check_certificates(lake: Lake, as_of: date) -> None:
    day = pa_dataset.field("as_of") == as_of
    rows = lake.read(CERTIFICATES, where=day, missing_ok=True).to_pylist()
    allowed = CERTIFICATES.column("forecast").allowed or ()
    missing = sorted(set(allowed) - {row["forecast"] for row in rows})
    if missing:
        raise DataContractError(
            f"{CERTIFICATES.name} has no certificate of the {' and '.join(missing)} forecast for {as_of}: run "
            f"`millrace score demand --as-of {as_of}` first"
        )
    breached = [f"{row['forecast']}: {row['words']}" for row in rows if not row["ok"]]
    if breached:
        raise DataContractError(
            f"the forecasts of {as_of} are not coherent and were not published: {'; '.join(breached)}. What served before "
            "still serves; look at the report, mend the cause, score again"
        )


def _outbound(settings: Settings, params: DemandParams, as_of: date) -> pa.Table:
    """Build the outbound items of the day; the sink adds nothing to what they say."""
    built = run_dbt(
        settings,
        run_id=f"demand-publish-{as_of}-{uuid.uuid4().hex[:8]}",
        select=["+exp_dynamodb__demand_forecasts", "stg_run__parameters"],
        tables=(FORECASTS, AGGREGATES),
        as_of_dates=[as_of],
        parameters=sql_parameters(params),
    )
    rows = built.read(
        "select * from exports.exp_dynamodb__demand_forecasts"
    )  # the sink has an order of its own
    built.discard()
    return rows
