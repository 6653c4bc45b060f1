"""Publishing rows to a Salesforce object: plan, send, account for every row, read back."""

from __future__ import annotations

import logging
from datetime import date

import polars as pl
import pyarrow as pa

from pipelines.errors import ConfigError, SinkError
from pipelines.io.lake import Lake
from pipelines.settings import SalesforceSettings, Settings
from pipelines.sinks.fold import Counts, next_chunk, next_try
from pipelines.sinks.ledger import RunLedger
from pipelines.sinks.ledger_tables import ABSENT, JobState, Operation, RowState, RunState
from pipelines.sinks.outbound import spread
from pipelines.sinks.publication import SAMPLE_ROWS, Publication, alone
from pipelines.sinks.report import PublishReport
from pipelines.sinks.salesforce.bulk2 import BulkIngest
from pipelines.sinks.salesforce.carrier import Carrier
from pipelines.sinks.salesforce.connection import Connection
from pipelines.sinks.salesforce.outbound import Outbound
from pipelines.sinks.salesforce.preflight import check_case, check_fields, check_limits
from pipelines.sinks.salesforce.readback import differences, remote_ids
from pipelines.sinks.salesforce.target import SINK, PublishOptions, SalesforceTarget

_LOG = logging.getLogger(__name__)


def publish(
    rows: pa.Table,
    *,
    as_of: date,
    target: SalesforceTarget,
    settings: Settings,
    lake: Lake,
    options: PublishOptions | None = None,
) -> PublishReport:
    """Make the records of an object equal to ``rows``, sending only what differs.

    The rows are all wanted records, exactly the columns ``target.columns``, one per external id. The same rows
    for the same day are the same publish: called again it resumes where it stopped, or does nothing if it had
    ended. A crash at any point is safe. An ``as_of`` older than the newest published day is refused.

    ``complete`` is false in the report if rows are unknown; dead rows do not make it false.
    """
    if settings.salesforce is None:
        raise ConfigError(
            "Salesforce is not configured: set MILLRACE_SALESFORCE__USERNAME, __PASSWORD and __INSTANCE"
        )
    with alone(settings, SINK, target.object):
        return _Publisher(rows, as_of, target, settings.salesforce, lake, options or PublishOptions()).run()


class _Publisher(Publication):
    """One call of :func:`publish`."""

    def __init__(
        self,
        rows: pa.Table,
        as_of: date,
        target: SalesforceTarget,
        settings: SalesforceSettings,
        lake: Lake,
        options: PublishOptions,
    ) -> None:
        self.outbound = Outbound(rows, target, options)
        super().__init__(lake, SINK, target.object, as_of, self.outbound.key(as_of))
        self.target = target
        self.options = options
        self.settings = settings

    def run(self) -> PublishReport:
        if self.options.dry_run:
            self._refuse_older()
            return self._dry_run()
        if self.finished and not (self.options.retry_dead or self.options.resend):
            # A publish with nothing to do stays off the network.
            return self.report(self.finished, self.finished.counts(), complete=True, noop=True)
        self._refuse_older()
        self._preflight()
        if self.interrupted and not self.resumable:
            self._supersede(self.interrupted)
        run, resumed = self.resumable or self._start(), self.interrupted is not None
        if not self._deliver(run, self._carrier(run)):
            return self.report(run, run.counts(), complete=False, resumed=resumed)
        checked = self._read_back(run)
        counts = run.close(RunState.FINISHED)
        return self.report(run, counts, complete=True, resumed=resumed, checked=checked)

    # ---------------------------------------------------------------- planning

    def _preflight(self) -> None:
        self.connection = Connection(self.settings, self.options)
        self.described = check_fields(self.connection, self.target)
        check_case(self.described[self.target.external_id_field], self.outbound.wanted["external_id"])

    def _refuse_older(self) -> None:
        newest = self.ledger.newest_as_of()
        if newest is not None and self.as_of < newest and not self.options.force:
            raise SinkError(
                f"{self.target.object} already shows {newest}; publishing {self.as_of} would overwrite "
                f"newer values with older ones. Publish {newest} or later, or use force if that is what you want"
            )

    def _start(self) -> RunLedger:
        planned = self._with_remote_ids(self.outbound.plan(self.ledger.published()))
        sending = pl.col("state") == RowState.PLANNED
        rows = self.outbound.chunked(planned.with_columns(attempt=sending.cast(pl.Int64)), first=0)
        to_send = rows["chunk"].drop_nulls()
        if len(to_send):
            check_limits(self.connection, rows=len(to_send), jobs=to_send.n_unique())
        run = self.start(rows, forced=self.options.force)
        _LOG.info("run %s: %d rows to send, %d skipped", run.run_id, len(to_send), len(rows) - len(to_send))
        return run

    def _with_remote_ids(self, planned: pl.DataFrame) -> pl.DataFrame:
        """Find the ids that deletes need; a record that is gone already needs no delete."""
        deleting = pl.col("operation") == Operation.DELETE
        lacking = planned.filter(deleting & pl.col("remote_id").is_null())
        if not lacking.height:
            return planned
        ids = remote_ids(self.connection, self.target, lacking["external_id"])
        remote = pl.col("remote_id").fill_null(pl.col("external_id").replace_strict(ids, default=None))
        absent = deleting & pl.col("remote_id").is_null()
        return planned.with_columns(remote_id=remote).with_columns(
            state=pl.when(absent).then(pl.lit(RowState.SKIPPED.value)).otherwise("state"),
            code=pl.when(absent).then(pl.lit(ABSENT)).otherwise("code"),
            base_hash=pl.when(~absent).then("base_hash"),
        )

    def _dry_run(self) -> PublishReport:
        """Plan and check, without writing or sending."""
        self._preflight()
        planned = self.outbound.plan(self.ledger.published())
        sending = planned.filter(pl.col("state") == RowState.PLANNED)
        ids = sending.filter(pl.col("operation") == Operation.UPSERT)["external_id"].head(SAMPLE_ROWS)
        counts = Counts(
            planned=sending.height,
            skipped=planned.height - sending.height,
            deleted=sending.filter(pl.col("operation") == Operation.DELETE).height,
        )
        return self.rehearsal(counts, sample=self.outbound.values(ids).to_dicts())

    # ---------------------------------------------------------------- delivering

    def _carrier(self, run: RunLedger) -> Carrier:
        """Carrier of a run; an interrupted one may have left a stray job."""
        return Carrier(
            BulkIngest(self.connection, self.target.object, self.target.external_id_field),
            run,
            self.options,
            known_jobs=self.ledger.job_ids(),
            since=(self.interrupted or run).began,
            sweep=self.interrupted is not None,
        )

    def _deliver(self, run: RunLedger, carrier: Carrier) -> bool:
        """Send what is planned and retry transient failures; false if a job is still running."""
        if not self._settle(run, carrier):
            return False
        rounds = 0
        while True:
            pending = run.rows().filter(pl.col("state") == RowState.PLANNED)
            for _, rows in pending.group_by("chunk", maintain_order=True):
                if carrier.submit(rows, self.outbound.file(rows)) is JobState.UNKNOWN:
                    return False
            rows = run.rows()
            again = next_try(rows, [RowState.FAILED])
            if not again.height:
                return True
            _LOG.info(
                "run %s: %d rows failed for a transient reason and are sent again", run.run_id, again.height
            )
            self.options.retry_wait.wait(rounds)
            rounds += 1
            run.record_rows(self.outbound.chunked(again, first=next_chunk(rows)))

    def _settle(self, run: RunLedger, carrier: Carrier) -> bool:
        """Learn what became of the jobs that an earlier try left; false if one is still running."""
        open_states = [JobState.CREATED.value, JobState.UNKNOWN.value]
        for job in run.jobs().filter(pl.col("state").is_in(open_states)).iter_rows(named=True):
            rows = run.rows().filter(pl.col("chunk") == job["chunk"])
            if carrier.settle(rows, str(job["job_id"])) is JobState.UNKNOWN:
                return False
        return True

    def _supersede(self, run: RunLedger) -> None:
        """Close a run with other rows: its jobs are settled first, so that the ledger is correct.

        A job that still runs could overwrite what we are about to send.
        """
        if not self._settle(run, self._carrier(run)):
            raise SinkError(
                f"a job of the earlier run {run.run_id} is still running in Salesforce; nothing was sent. "
                "Run the publish again when it has ended"
            )
        run.supersede()

    # ---------------------------------------------------------------- afterwards

    def _read_back(self, run: RunLedger) -> int:
        """Compare a sample with what Salesforce stores; if it differs the run stays open, and the next call checks again."""
        accepted = run.rows().filter(pl.col("state") == RowState.OK)
        upserted, deleted = (
            spread(
                accepted.filter(pl.col("operation") == operation)["external_id"], self.options.readback_rows
            )
            for operation in (Operation.UPSERT, Operation.DELETE)
        )
        checked = len(upserted) + len(deleted)
        if not checked:
            return 0
        values = self.outbound.values(upserted)
        found = differences(self.connection, self.target, self.described, values, deleted.to_list())
        if found:
            text = (
                f"Salesforce stores {len(found)} values of {checked} sampled records that differ from what it "
                f"accepted: {'; '.join(found[:5])}. Look for a flow, trigger or user that changes them"
            )
            if not self.options.force:
                raise SinkError(f"{text}; publish with force to accept it")
            self.warnings.append(text)
        return checked
