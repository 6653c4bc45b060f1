"""Churn, publication: the day's scores as `Churn_Score__c` records, every row accounted for."""

from __future__ import annotations

import uuid
from datetime import date
from typing import Any

import pyarrow as pa

from features.contracts import Contract
from pipelines.io.dbt import run_dbt
from pipelines.io.lake import Lake
from pipelines.io.promotions import require_served
from pipelines.settings import Settings
from pipelines.sinks.diff import OnLeave
from pipelines.sinks.salesforce.publisher import publish
from pipelines.sinks.salesforce.target import Null, PublishOptions, SalesforceTarget
from pipelines.usecases.churn.contracts import ACCOUNTS_TABLE, USECASE, exports_contract
from pipelines.usecases.churn.params import ChurnParams
from pipelines.usecases.churn.schemas import SCORES

OBJECT = "Churn_Score__c"
EXTERNAL_ID = "External_Id__c"
ACCOUNT = "Account__r.Millrace_Account_Id__c"


def run(
    as_of: date,
    *,
    settings: Settings | None = None,
    params: ChurnParams | None = None,
    dry_run: bool = False,
    force: bool = False,
    retry_dead: bool = False,
) -> dict[str, Any]:
    """Make the records in Salesforce equal to the scores of ``as_of``, sending only what differs.

    Called again after a crash it resumes; after success it does nothing.

    Parameters
    ----------
    dry_run
        Count and show five rows, send nothing.
    force
        Publish a day older than the newest published one, many leavers, or the scores of a model that
        the gate never let serve.
    retry_dead
        Send the dead letters of the last publication again, once their cause is mended.

    Raises
    ------
    DataContractError
        The day has no scores.
    ModelGateError
        The scores come from a model that never was champion.
    SinkError
        A guard refused, rows are unknown after the time-out, or too many are dead letters. The ledger
        knows every row; the next call resumes.
    """
    settings, params = settings or Settings.load(), params or ChurnParams.load_default()
    lake = Lake.of(settings)
    require_served(lake, SCORES, USECASE, as_of, force=force)
    report = publish(
        _outbound(settings, as_of),
        as_of=as_of,
        target=_target(exports_contract(settings)),
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
    report.require_delivery(params.publish.max_dead_share)
    return report.record()


def _outbound(settings: Settings, as_of: date) -> pa.Table:
    """Build the outbound rows of the day; the sink adds nothing to them."""
    built = run_dbt(
        settings,
        run_id=f"churn-publish-{as_of}-{uuid.uuid4().hex[:8]}",
        select=["+exp_salesforce__churn_scores"],
        tables=(SCORES, ACCOUNTS_TABLE),
        as_of_dates=[as_of],
    )
    rows = built.read('select * from exports.exp_salesforce__churn_scores order by "External_Id__c"')
    built.discard()
    return rows


def _target(contract: Contract) -> SalesforceTarget:
    """Every outbound column; null clears the field, so that no value of an earlier week stays."""
    fields = {name: Null.CLEAR for name in contract.table.column_names if name != EXTERNAL_ID}
    return SalesforceTarget(OBJECT, EXTERNAL_ID, fields, sort_by=ACCOUNT)
