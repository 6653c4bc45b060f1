"""Churn, publication: the day's scores as `Churn_Score__c` records, every row accounted for."""

from __future__ import annotations

import uuid
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pa_dataset

from features.contracts import Contract
from pipelines.churn.contracts import ACCOUNTS_TABLE, USECASE, exports_contract
from pipelines.churn.params import ChurnParams
from pipelines.churn.schemas import SCORES
from pipelines.errors import DataContractError, ModelGateError, SinkError
from pipelines.io.dbt import run_dbt
from pipelines.io.lake import Lake
from pipelines.io.promotions import versions_that_served
from pipelines.settings import Settings
from pipelines.sinks.diff import OnLeave
from pipelines.sinks.report import PublishReport
from pipelines.sinks.salesforce.publisher import publish
from pipelines.sinks.salesforce.target import Null, PublishOptions, SalesforceTarget

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
    _check_model(lake, as_of, force=force)
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
    _judge(report, params.publish.max_dead_share)
    record = report.record()
    return {**record, "sample": [dict(row) for row in report.sample]} if dry_run else record


def _check_model(lake: Lake, as_of: date, *, force: bool) -> None:
    """Refuse scores that were made for looking at a model, not for working with it."""
    rows = lake.read(
        SCORES, columns=["model_version"], where=pa_dataset.field("as_of") == as_of, missing_ok=True
    )
    if rows.num_rows == 0:
        raise DataContractError(
            f"{SCORES.name} has no rows for {as_of}: run `millrace score churn --as-of {as_of}` first"
        )
    version = rows["model_version"][0].as_py()
    if version not in versions_that_served(lake, USECASE) and not force:
        raise ModelGateError(
            f"the scores of {as_of} come from {version}, which never was champion: score again with the "
            "champion, or use --force to publish them all the same"
        )


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


def _judge(report: PublishReport, max_dead_share: float) -> None:
    if not report.complete and not report.dry_run:
        raise SinkError(
            f"{OBJECT}: {report.unknown} rows are unknown, Salesforce has not answered yet; run it again, it "
            f"asks for the same jobs instead of sending twice (run {report.run_id} in ops/publish_runs)"
        )
    if report.dead > max_dead_share * max(report.planned, 1):
        raise SinkError(
            f"{OBJECT}: {report.dead} of {report.planned} rows failed for good, more than "
            f"{max_dead_share:.1%} (publish.max_dead_share); reasons are in ops/publish_rows and on the report"
        )
