"""Publishing rows to a Salesforce object: plan, send, account for every row, read back."""

from __future__ import annotations

import logging
from datetime import date
from typing import Any

import polars as pl
import pyarrow as pa

from pipelines.errors import ConfigError, SinkError
from pipelines.io.lake import Lake
from pipelines.io.lock import exclusive
from pipelines.settings import SalesforceSettings, Settings
from pipelines.sinks.fold import Counts
from pipelines.sinks.ledger import Ledger
from pipelines.sinks.ledger_tables import ABSENT, JobState, Operation, RowState, RunState
from pipelines.sinks.report import PublishReport
from pipelines.sinks.run_ledger import RunLedger
from pipelines.sinks.salesforce.bulk2 import BulkIngest
from pipelines.sinks.salesforce.carrier import Carrier
from pipelines.sinks.salesforce.connection import Connection
from pipelines.sinks.salesforce.outbound import SINK, Outbound
from pipelines.sinks.salesforce.preflight import check_case, check_fields, check_limits
from pipelines.sinks.salesforce.readback import differences, remote_ids, spread
from pipelines.sinks.salesforce.target import PublishOptions, SalesforceTarget

_SAMPLE_ROWS = 5
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

    The same rows for the same day are the same publish: called again it resumes where it stopped, or
    does nothing if it had ended. A crash at any point is safe.

    Parameters
    ----------
    rows
        All wanted records, exactly the columns ``target.columns``, one row per external id.
    as_of
        Day the rows are about; an older one than the newest published is refused.
    target
        Object, fields and null policies.
    settings
        Where Salesforce is; the lock lies under ``settings.var``.
    lake
        Where the ledger is.
    options
        Behaviour, the defaults if None.

    Returns
    -------
    PublishReport
        Rows by fate. ``complete`` is false if rows are unknown; dead rows do not make it false.

    Raises
    ------
    ConfigError
        Settings are missing, or the object does not accept the fields.
    DataContractError
        Rows cannot be written, or an external id repeats.
    SinkError
        A guard refused, Salesforce did not answer, or the ledger does not balance. Nothing is lost: the
        next call resumes.
    """
    if settings.salesforce is None:
        raise ConfigError(
            "Salesforce is not configured: set MILLRACE_SALESFORCE__USERNAME, __PASSWORD and __INSTANCE"
        )
    options = options or PublishOptions()
    busy = SinkError(f"another process is publishing to {target.object}; wait for it to end, then run again")
    with exclusive(settings, f"{SINK}-{target.object}", refusal=busy):
        return _Publisher(rows, as_of, target, settings.salesforce, lake, options).run()


class _Publisher:
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
        self.as_of = as_of
        self.target = target
        self.options = options
        self.settings = settings
        self.ledger = Ledger(lake, SINK, target.object)
        self.outbound = Outbound(rows, target, options)
        self.warnings: list[str] = []

    def run(self) -> PublishReport:
        key, newest, options = self.outbound.key(self.as_of), self.ledger.newest(), self.options
        same = newest is not None and newest.run_key == key
        unfinished = newest is not None and newest.state is RunState.OPEN
        again = options.retry_dead or options.resend
        if options.dry_run:
            self._refuse_older()
            return self._dry_run()
        if newest and same and newest.state is RunState.FINISHED and not again:
            # A publish with nothing to do stays off the network.
            return self._report(newest, newest.counts(), complete=True, noop=True)
        self._refuse_older()
        self._preflight()
        if newest and unfinished and not same:
            self._supersede(newest)
        run = newest if newest and unfinished and same else self._start(key)
        if not self._deliver(run, self._carrier(run, unfinished=newest if unfinished else None)):
            return self._report(run, run.counts(), complete=False, resumed=unfinished)
        checked = self._read_back(run)
        counts = run.close(RunState.FINISHED)
        return self._report(run, counts, complete=True, resumed=unfinished, checked=checked)

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

    def _start(self, key: str) -> RunLedger:
        planned = self._with_remote_ids(self.outbound.plan(self.ledger.published()))
        sending = pl.col("state") == RowState.PLANNED
        rows = self.outbound.chunked(
            planned.with_columns(attempt=pl.when(sending).then(1).otherwise(0).cast(pl.Int64)), first=0
        )
        to_send = rows["chunk"].drop_nulls()
        if len(to_send):
            check_limits(self.connection, rows=len(to_send), jobs=to_send.n_unique())
        run = self.ledger.start(as_of=self.as_of, key=key, forced=self.options.force, rows=rows)
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
        newest = self.ledger.newest()
        if newest and newest.state is RunState.OPEN:
            self.warnings.append(f"run {newest.run_id} has not ended; a publish settles it first")
        ids = sending.filter(pl.col("operation") == Operation.UPSERT)["external_id"].head(_SAMPLE_ROWS)
        counts = Counts(
            planned=sending.height,
            sent=0,
            ok=0,
            failed=0,
            unknown=0,
            skipped=planned.height - sending.height,
            deleted=sending.filter(pl.col("operation") == Operation.DELETE).height,
            dead=0,
        )
        return self._report(
            None, counts, complete=False, dry_run=True, sample=self.outbound.values(ids).to_dicts()
        )

    # ---------------------------------------------------------------- delivering

    def _carrier(self, run: RunLedger, *, unfinished: RunLedger | None) -> Carrier:
        return Carrier(
            BulkIngest(self.connection, self.target.object, self.target.external_id_field),
            run,
            self.target.external_id_field,
            self.options,
            known_jobs=self.ledger.job_ids(),
            since=(unfinished or run).began,
            sweep=unfinished is not None,
        )

    def _deliver(self, run: RunLedger, carrier: Carrier) -> bool:
        """Send what is planned and retry transient failures; false if a job is still running."""
        if not self._settle(run, carrier):
            return False
        rounds = 0
        while True:
            pending = run.rows().filter(pl.col("state") == RowState.PLANNED)
            for (chunk,), rows in pending.group_by("chunk", maintain_order=True):
                state = carrier.submit(int(str(chunk)), rows, self.outbound.file(rows))
                if state is JobState.UNKNOWN:
                    return False
            rows = run.rows()
            failed = rows.filter(pl.col("state") == RowState.FAILED)
            if not failed.height:
                return True
            _LOG.info(
                "run %s: %d rows failed for a transient reason and are sent again", run.run_id, failed.height
            )
            self.options.retry_wait.wait(rounds)
            rounds += 1
            again = failed.select(
                "external_id",
                "operation",
                "payload_hash",
                "base_hash",
                "remote_id",
                attempt=pl.col("attempt") + 1,
                state=pl.lit(RowState.PLANNED.value),
            )
            run.record_rows(self.outbound.chunked(again, first=int(str(rows["chunk"].max())) + 1))

    def _settle(self, run: RunLedger, carrier: Carrier) -> bool:
        """Learn what became of the jobs that an earlier try left; false if one is still running."""
        open_states = [JobState.CREATED.value, JobState.UNKNOWN.value]
        for job in run.jobs().filter(pl.col("state").is_in(open_states)).iter_rows(named=True):
            rows = run.rows().filter(pl.col("chunk") == job["chunk"])
            if carrier.settle(int(job["chunk"]), rows, str(job["job_id"])) is JobState.UNKNOWN:
                return False
        return True

    def _supersede(self, run: RunLedger) -> None:
        """Close a run with other rows: its jobs are settled first, so that the ledger is correct.

        Raises
        ------
        SinkError
            One of its jobs still runs: it could overwrite what we are about to send.
        """
        if not self._settle(run, self._carrier(run, unfinished=None)):
            raise SinkError(
                f"a job of the earlier run {run.run_id} is still running in Salesforce; nothing was sent. "
                "Run the publish again when it has ended"
            )
        run.supersede()

    # ---------------------------------------------------------------- afterwards

    def _read_back(self, run: RunLedger) -> int:
        """Compare a sample with what Salesforce stores.

        Raises
        ------
        SinkError
            It differs; the run stays open, so the next call checks again.
        """
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

    def _report(self, run: RunLedger | None, counts: Counts, **more: Any) -> PublishReport:
        return PublishReport.of(
            counts,
            sink=SINK,
            object=self.target.object,
            as_of=self.as_of,
            run_id=run.run_id if run else None,
            jobs=len(run.job_ids()) if run else 0,
            warnings=tuple(self.warnings),
            **more,
        )
