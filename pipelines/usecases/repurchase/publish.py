"""Repurchase, publication: what the day predicts, to DynamoDB for the shop and to Salesforce for marketing."""

from __future__ import annotations

import uuid
from datetime import date
from typing import Any

import pyarrow as pa

from pipelines.io.dbt import run_dbt
from pipelines.io.lake import Lake
from pipelines.io.promotions import require_served
from pipelines.settings import Settings
from pipelines.sinks.diff import OnLeave
from pipelines.sinks.dynamodb import rollback as versions
from pipelines.sinks.dynamodb.publisher import publish as load
from pipelines.sinks.dynamodb.target import DynamoTarget, LoadOptions, configured
from pipelines.sinks.salesforce.publisher import publish as upsert
from pipelines.sinks.salesforce.target import Null, PublishOptions, SalesforceTarget
from pipelines.usecases.repurchase.contracts import OPTIONAL_TABLES, RAW_TABLES, USECASE, salesforce_contract
from pipelines.usecases.repurchase.params import RepurchaseParams
from pipelines.usecases.repurchase.schemas import BASKETS, NEXT_ORDERS

OBJECT = "Next_Order__c"
EXTERNAL_ID = "External_Id__c"
ACCOUNT = "Account__r.Millrace_Account_Id__c"

#: Prefix of all keys in DynamoDB, and the outbound column that is the key of an item.
NAMESPACE = USECASE
KEY = "item_key"

_MODELS = ("exp_salesforce__next_orders", "exp_dynamodb__repurchase_next_orders")


def run(
    as_of: date,
    *,
    settings: Settings | None = None,
    params: RepurchaseParams | None = None,
    dry_run: bool = False,
    force: bool = False,
    retry_dead: bool = False,
) -> dict[str, Any]:
    """Let the shop and marketing read the predictions of ``as_of``.

    DynamoDB comes first: it is what customers see, and all of it changes at once. Both resume after a crash, and do
    nothing after success.

    Parameters
    ----------
    dry_run
        Count and show five rows of each, send nothing.
    force
        Publish a day older than the newest published one, many leavers, or predictions of a model that the gate
        never let serve.
    retry_dead
        Send dead letters again, once their cause is mended.

    Returns
    -------
    dict
        Rows by fate for each sink, see :class:`pipelines.sinks.report.PublishReport`.

    Raises
    ------
    DataContractError
        The day has no predictions.
    ModelGateError
        They come from a model that never was champion.
    SinkError
        A guard refused, or a system did not take all rows. The ledger knows every row; the next call resumes.
    """
    settings, params = settings or Settings.load(), params or RepurchaseParams.load_default()
    lake = Lake.of(settings)
    require_served(lake, NEXT_ORDERS, USECASE, as_of, force=force)
    records, items = _outbound(settings, as_of)
    loaded = load(
        items,
        as_of=as_of,
        target=DynamoTarget(
            configured(settings).table,
            NAMESPACE,
            KEY,
            retention_days=params.publish.retention_days,
            decimals=4,
        ),
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
    upserted = upsert(
        records,
        as_of=as_of,
        target=_target(settings),
        settings=settings,
        lake=lake,
        options=PublishOptions(
            on_leave=OnLeave(params.publish.on_leave),
            max_leavers_share=params.publish.max_leavers_share,
            force=force,
            dry_run=dry_run,
            retry_dead=retry_dead,
        ),
    )
    upserted.require_delivery(params.publish.max_dead_share)
    return {"dynamodb": loaded.record(), "salesforce": upserted.record()}


def rollback(
    settings: Settings, *, why: str, to: str | None = None, on: date | None = None
) -> dict[str, Any]:
    """Let the lists that the shop read before serve again; Salesforce and the lake stay as they are.

    See :func:`pipelines.sinks.dynamodb.rollback.rollback`.
    """
    return versions.serve_earlier(NAMESPACE, settings, why=why, to=to, on=on)


def _outbound(settings: Settings, as_of: date) -> tuple[pa.Table, pa.Table]:
    """Build the records and items of the day; the sinks add nothing to what they say."""
    built = run_dbt(
        settings,
        run_id=f"repurchase-publish-{as_of}-{uuid.uuid4().hex[:8]}",
        select=[f"+{model}" for model in _MODELS],
        tables=(NEXT_ORDERS, BASKETS, *RAW_TABLES),
        as_of_dates=[as_of],
        may_be_absent=(*OPTIONAL_TABLES, BASKETS.name),
    )
    records = built.read(f'select * from exports.{_MODELS[0]} order by "{EXTERNAL_ID}"')
    items = built.read(f"select * from exports.{_MODELS[1]} order by {KEY}")
    built.discard()
    return records, items


def _target(settings: Settings) -> SalesforceTarget:
    """Every outbound column; null clears the field, so that no list of an earlier day stays."""
    names = salesforce_contract(settings).table.column_names
    fields = {name: Null.CLEAR for name in names if name != EXTERNAL_ID}
    return SalesforceTarget(OBJECT, EXTERNAL_ID, fields, sort_by=ACCOUNT)
