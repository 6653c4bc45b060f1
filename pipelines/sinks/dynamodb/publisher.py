"""Publishing a version to DynamoDB: plan, write beside the old one, account for every item, flip."""

from __future__ import annotations

import json
import logging
from datetime import date, timedelta
from typing import Any

import polars as pl
import pyarrow as pa

from pipelines.errors import SinkError
from pipelines.io.lake import Lake
from pipelines.settings import DynamoSettings, Settings
from pipelines.sinks.dynamodb.connection import Connection
from pipelines.sinks.dynamodb.delivery import Delivery
from pipelines.sinks.dynamodb.loader import Loader, Usage
from pipelines.sinks.dynamodb.outbound import Outbound
from pipelines.sinks.dynamodb.reader import Reader, attributes
from pipelines.sinks.dynamodb.tables import find_table, require_table
from pipelines.sinks.dynamodb.target import SINK, DynamoTarget, LoadOptions, configured
from pipelines.sinks.dynamodb.versions import Pointer, Version, VersionState, record_flip
from pipelines.sinks.fold import Counts
from pipelines.sinks.ledger import RunLedger
from pipelines.sinks.ledger_tables import RunState
from pipelines.sinks.outbound import spread
from pipelines.sinks.publication import SAMPLE_ROWS, Publication, alone
from pipelines.sinks.report import PublishReport

#: Keys that a version remembers, by which a rollback sees whether it is still there.
_REMEMBERED_KEYS = 100

_LOG = logging.getLogger(__name__)


def publish(
    rows: pa.Table,
    *,
    as_of: date,
    target: DynamoTarget,
    settings: Settings,
    lake: Lake,
    options: LoadOptions | None = None,
) -> PublishReport:
    """Make readers see ``rows``: all of them at once, or, if anything goes wrong, what they saw before.

    The rows are all wanted items: the column ``target.key`` and the attributes, see
    :func:`pipelines.sinks.dynamodb.encoding.encode`. They become a version of their own beside the one that
    serves. Once every item is confirmed, one conditional write moves the pointer. The same rows for the same
    day are the same publish: called again it resumes where it stopped, or does nothing if it had ended. A crash
    at any point is safe. An ``as_of`` older than the day that serves is refused.

    The facts of the report name the version, its pointer's revision, and the write units used.
    """
    where, options = configured(settings), options or LoadOptions()
    with alone(settings, SINK, target.object), Connection(where, options) as connection:
        return _Publisher(rows, as_of, target, where, lake, options, connection).run()


class _Publisher(Publication):
    """One call of :func:`publish`."""

    def __init__(
        self,
        rows: pa.Table,
        as_of: date,
        target: DynamoTarget,
        settings: DynamoSettings,
        lake: Lake,
        options: LoadOptions,
        connection: Connection,
    ) -> None:
        self.outbound = Outbound(rows, as_of, target)
        super().__init__(lake, SINK, target.object, as_of, self.outbound.key())
        self.target = target
        self.settings = settings
        self.options = options
        self.connection = connection
        self.reader = Reader(connection, target.table, target.namespace, wait=options.http)
        self.versions = self.reader.versions
        self.usage = Usage()

    def run(self) -> PublishReport:
        if self.options.dry_run:
            return self._dry_run()
        require_table(self.connection, self.target.table, create=self.settings.create_table)
        pointer = self.versions.pointer()
        if self.finished and pointer:
            return self._published_before(self.finished, pointer)
        self._refuse(pointer)
        if self.interrupted and not self.resumable:
            self.interrupted.supersede()  # its version never served; what was written of it expires
        run, resumed = self.resumable or self._start(), self.resumable is not None
        with Loader(self.connection, self.target, self.options) as loader:
            self.usage = loader.usage
            counts = Delivery(run, self.outbound, loader, self.options).deliver()
        checked = self._read_back(run.run_id)
        pointer = self._serve(run)
        run.close(RunState.FINISHED, counts)
        if self.options.ledger_days is not None:
            self.ledger.forget_rows(self.as_of - timedelta(days=self.options.ledger_days))
        facts = self._facts(pointer)
        return self.report(run, counts, facts=facts, complete=True, resumed=resumed, checked=checked)

    # ---------------------------------------------------------------- before

    def _refuse(self, pointer: Pointer | None) -> None:
        """Refuse a day older than what was published, and far fewer items than serve: both look like accidents."""
        if self.options.force:
            return
        published = [day for day in (self.ledger.newest_as_of(), pointer and pointer.as_of) if day]
        if published and self.as_of < max(published):
            raise SinkError(
                f"{self.target.object} was published for {max(published)} already; {self.as_of} would overwrite newer "
                f"values with older ones. Publish {max(published)} or later, or use force if that is what you want"
            )
        items = len(self.outbound.wanted)
        if pointer and items < (1 - self.options.max_loss_share) * pointer.items:
            raise SinkError(
                f"{self.target.object}: {items} items would replace {pointer.items}; at most "
                f"{self.options.max_loss_share:.0%} may be lost from one version to the next. Nothing was sent. Check "
                "the source of the rows; if they are right, publish with force"
            )

    def _start(self) -> RunLedger:
        rows = self.outbound.plan(self.options.chunk_rows)
        run = self.start(rows, forced=self.options.force)
        self.versions.write(self._version(run, VersionState.LOADING))
        _LOG.info("run %s: %d items to send", run.run_id, rows.height)
        return run

    def _version(self, run: RunLedger, state: VersionState) -> Version:
        return Version(
            name=run.run_id,
            as_of=self.as_of,
            state=state,
            items=len(self.outbound.wanted),
            content=run.run_key,
            expires_at=self.target.expires_at(self.as_of),
            sample=tuple(self._sampled(_REMEMBERED_KEYS)),
        )

    def _dry_run(self) -> PublishReport:
        """Plan and check, without writing or sending."""
        pointer = None
        if find_table(self.connection, self.target.table, create=self.settings.create_table):
            pointer = self.versions.pointer()
        else:
            self.warnings.append(f"the table {self.target.table} is not there yet; a publish makes it")
        self._refuse(pointer)
        wanted = self.outbound.items(self._sampled(SAMPLE_ROWS), "dry run").sort("external_id")
        sample = [self._plain(line) for line in wanted["line"].head(SAMPLE_ROWS)]
        counts = Counts(planned=len(self.outbound.wanted))
        return self.rehearsal(counts, facts=self._facts(pointer), sample=sample)

    def _published_before(self, run: RunLedger, pointer: Pointer) -> PublishReport:
        """Do nothing for rows that were published before, unless they were rolled back and are forced."""
        noop = True
        if pointer.version != run.run_id:
            if self.options.force:
                self.reader.check_whole(run.run_id)
                pointer, noop = self._serve(run), False
            else:
                self.warnings.append(
                    f"version {run.run_id} was published before and {pointer.version} serves now, so somebody went back to "
                    "it; publish with force to let the published one serve again"
                )
        return self.report(run, run.counts(), facts=self._facts(pointer), complete=True, noop=noop)

    # ---------------------------------------------------------------- after

    def _read_back(self, version: str) -> int:
        """Compare a sample with what the table holds, before anybody else reads it.

        Where it differs the run stays open and the version does not serve.
        """
        sample = self.outbound.items(self._sampled(self.options.readback_items), version)
        wanted = {row["external_id"]: self._plain(row["line"]) for row in sample.iter_rows(named=True)}
        held = self.reader.read(version, list(wanted))
        found = [key for key, values in wanted.items() if held.get(key) != values]
        if found:
            raise SinkError(
                f"DynamoDB holds {len(found)} of {len(wanted)} sampled items of version {version} that differ from "
                f"what it confirmed, for instance {found[0]!r}: {held.get(found[0])}. What served before still serves"
            )
        return len(wanted)

    def _serve(self, run: RunLedger) -> Pointer:
        """Let the run's version serve and record that; doing it again changes nothing."""
        version = self._version(run, VersionState.COMPLETE)
        self.versions.write(version)
        seen = self.versions.pointer()
        self._refuse(seen)
        if seen and seen.version == version.name:
            pointer, before = seen, seen.served[-1] if seen.served else None
        else:
            before = seen.version if seen else None
            served = (*seen.served, seen.version) if seen else ()
            pointer = self.versions.flip(version, seen=seen, served=served)
        why, who = f"forecast day {self.as_of}, {version.items} items", f"run:{run.run_id}"
        record_flip(
            self.ledger.lake, self.target.object, pointer, kind="publish", before=before, why=why, who=who
        )
        return pointer

    def _sampled(self, count: int) -> pl.Series:
        """Keys of at most ``count`` evenly spaced items."""
        return spread(self.outbound.wanted["external_id"], count)

    @staticmethod
    def _plain(line: str) -> dict[str, Any]:
        """Attributes of an encoded item as a reader gets them."""
        return attributes(json.loads(line)["PutRequest"]["Item"])

    def _facts(self, pointer: Pointer | None) -> dict[str, Any]:
        return {
            "serves": pointer.version if pointer else None,
            "revision": pointer.revision if pointer else 0,
            "kept_through": self.target.kept_through(self.as_of).isoformat(),
            "requests": self.usage.requests,
            "repeated_requests": self.usage.repeats,
            "write_units": self.usage.reported_units,
            "write_units_by_size": self.usage.estimated_units,
            "item_bytes_mean": self.outbound.wanted["bytes"].sum() / len(self.outbound.wanted),
            "item_bytes_max": self.outbound.wanted["bytes"].max(),
        }
