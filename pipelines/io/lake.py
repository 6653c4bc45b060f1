"""The lake: Delta tables under one root, written only as *write, audit, publish*.

A write stages its rows aside, audits them (the declared contract first, then the caller's audits)
and only then makes one Delta commit. Readers see the table before or after the commit, never in between;
a failed audit or a killed process leaves the previous version in place.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import reduce
from itertools import chain
from operator import and_, or_
from pathlib import Path
from typing import Any, Self, TypeAlias, TypedDict, Unpack
from urllib.parse import unquote

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset
import pyarrow.fs as pa_fs
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError, TableNotFoundError

from features.schemas import Table
from features.sql import literal, quoted
from pipelines.errors import DataContractError, NotKeptError
from pipelines.io.audit import Audit, Examine, judge_contract, schema_problems
from pipelines.io.staged import Rows, staged
from pipelines.settings import Settings

PartitionValue: TypeAlias = str | date

#: A commit that lost a race is tried again this often; each try sees the winner's version.
_COMMIT_ATTEMPTS = 12

#: Files that no version knows may be a write under way; older ones are what a killed process left.
_UNDER_WAY_HOURS = 24


@dataclass(frozen=True)
class Commit:
    """Outcome of a write: the table, its new version and the rows written."""

    table: str
    version: int
    rows: int


class Extras(TypedDict, total=False):
    """What every write takes besides the rows."""

    #: What the rows must pass beyond the table's contract.
    audits: Sequence[Audit]
    #: Shown the rows and what the contract found; may find more.
    examine: Examine | None
    #: Kept with the commit.
    metadata: Mapping[str, Any] | None


def having(**values: Any) -> pa_dataset.Expression:
    """Rows with these values in the columns of these names, for ``where``."""
    return reduce(and_, (pa_dataset.field(name) == value for name, value in values.items()))


def on_day(day: date) -> pa_dataset.Expression:
    """Rows of a day, for ``where``."""
    return pa_dataset.field("as_of") == day


def before_day(day: date) -> pa_dataset.Expression:
    """Rows of the days before, for ``where``."""
    return pa_dataset.field("as_of") < day


def until_day(day: date) -> pa_dataset.Expression:
    """Rows of a day and of the days before, for ``where``."""
    return pa_dataset.field("as_of") <= day


def days_in(column: pa.ChunkedArray) -> list[date]:
    """Distinct days of a column of dates or times."""
    values = pc.unique(column.drop_null()).to_pylist()
    return [value.date() if isinstance(value, datetime) else value for value in values]


class Lake:
    """Delta tables below a root folder or ``s3://`` address, whose credentials come from the environment."""

    def __init__(self, root: str | Path) -> None:
        self.root = str(root).rstrip("/")

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Lake that the settings point to."""
        return cls(settings.lake_uri)

    # ---------------------------------------------------------------- reading

    def uri(self, name: str) -> str:
        """Address of a table."""
        return f"{self.root}/{name}"

    def exists(self, name: str) -> bool:
        """Whether the table has at least one version."""
        return bool(DeltaTable.is_deltatable(self.uri(name)))

    def tables(self) -> list[str]:
        """Names of all tables, for maintenance."""
        filesystem, path = self.filesystem()
        found = filesystem.get_file_info(pa_fs.FileSelector(path, recursive=True, allow_not_found=True))
        logs = [info.path for info in found if info.path.endswith("/_delta_log")]
        return sorted(log.removesuffix("/_delta_log").removeprefix(path).lstrip("/") for log in logs)

    def filesystem(self) -> tuple[pa_fs.FileSystem, str]:
        """File system that the lake lies on, and its root's path there."""
        if "://" not in self.root:
            return pa_fs.LocalFileSystem(), str(Path(self.root).resolve())
        filesystem, path = pa_fs.FileSystem.from_uri(self.root)
        return filesystem, path

    def open(self, name: str, version: int | None = None) -> DeltaTable:
        """Delta table at a version (the newest by default).

        Raises ``DataContractError`` if there is no such table; ``NotKeptError`` if it is the version that is gone.
        """
        try:
            return DeltaTable(self.uri(name), version=version)
        except TableNotFoundError:
            if version is not None and self.exists(name):
                raise NotKeptError(
                    f"version {version} of {name} is no longer kept: an erasure (ops/erasures) or a vacuum removed "
                    f"the past of the table, whose newest version is {self.version(name)}"
                ) from None
            raise DataContractError(
                f"the lake has no table {name!r} under {self.root}; run the step that makes it first"
            ) from None

    def version(self, name: str) -> int:
        """Newest version number."""
        return int(self.open(name).version())

    def files(self, name: str, version: int | None = None) -> list[str]:
        """Parquet files that make up a version."""
        # delta-rs percent-encodes: a blank in a folder's name would come back as %20.
        uris = self.open(name, version).file_uris()
        return sorted(uri if "://" in uri else unquote(uri) for uri in uris)

    def dataset(self, name: str, version: int | None = None) -> pa_dataset.Dataset:
        """Arrow dataset of a version, for filters that prune partitions and files."""
        return self._arrow(self.open(name, version), name)

    def _arrow(self, delta: DeltaTable, name: str) -> pa_dataset.Dataset:
        # Read by Arrow's own file system: with deltalake's, which is written in Python, a read that is still
        # ahead of its reader when the process ends waits for an interpreter that is gone, and the process
        # aborts or hangs after its work is done (apache/arrow issue 34314).
        filesystem, root = self.filesystem()
        return delta.to_pyarrow_dataset(filesystem=pa_fs.SubTreeFileSystem(f"{root}/{name}", filesystem))

    def read(
        self,
        table: Table | str,
        *,
        columns: Sequence[str] | None = None,
        where: pa_dataset.Expression | None = None,
        version: int | None = None,
        missing_ok: bool = False,
    ) -> pa.Table:
        """Read rows of a pinned or the newest version; of a declared table, columns come in declared order.

        ``columns`` and ``where`` are pushed down to the files. With ``missing_ok``, a declared table that was
        never written has no rows, instead of raising.
        """
        name = table if isinstance(table, str) else table.name
        if missing_ok and isinstance(table, Table) and not self.exists(name):
            empty = table.arrow_schema.empty_table()
            return empty.select(list(columns)) if columns else empty
        if columns is None and isinstance(table, Table):
            columns = table.column_names
        return self.dataset(name, version).to_table(columns=columns, filter=where)

    def days(self, name: str, column: str = "as_of") -> list[date]:
        """Days of a column of dates or times, without reading a row.

        All of them if the table is partitioned by it, otherwise the last of every file; none without the table.
        """
        if not self.exists(name):
            return []
        # Arrow's C interface: deltalake returns its own Arrow types.
        files = pa.table(self.open(name).get_add_actions(flatten=True))
        known = [each for each in (f"partition.{column}", f"max.{column}") if each in files.column_names]
        return days_in(files[known[0]]) if known else []

    def newest_day(
        self, table: Table, until: date, where: pa_dataset.Expression | None = None
    ) -> date | None:
        """Newest ``as_of`` of a table, or of its rows that match a filter, up to a day; None before the first.

        Without a filter no row is read; the table must be partitioned by ``as_of`` then.
        """
        if where is None:
            return max((day for day in self.days(table.name) if day <= until), default=None)
        rows = self.read(table, columns=["as_of"], where=where & until_day(until), missing_ok=True)
        return max(days_in(rows["as_of"]), default=None)

    # ---------------------------------------------------------------- writing

    def append(self, table: Table, data: Rows, **extras: Unpack[Extras]) -> Commit:
        """Add rows in one commit. The key must be unique among the added rows."""
        return self._publish(table, data, extras, mode="append")

    def overwrite(self, table: Table, data: Rows, **extras: Unpack[Extras]) -> Commit:
        """Replace the whole table in one commit."""
        return self._publish(table, data, extras, mode="overwrite")

    def replace_partition(
        self, table: Table, data: Rows, partition: Mapping[str, PartitionValue], **extras: Unpack[Extras]
    ) -> Commit:
        """Replace the rows of one partition in one commit; rows outside it are refused."""
        unknown = [name for name in partition if name not in table.partition_by]
        if unknown or not partition:
            raise ValueError(f"{table.name} is partitioned by {table.partition_by}, got {dict(partition)}")
        return self._publish(
            table, data, extras, _inside(partition), mode="overwrite", predicate=_predicate(partition)
        )

    def replace_partitions(
        self,
        table: Table,
        data: Rows,
        column: str,
        values: Sequence[PartitionValue],
        **extras: Unpack[Extras],
    ) -> Commit:
        """Replace several values of one partition column in one commit."""
        if column not in table.partition_by or not values:
            raise ValueError(f"{table.name} is partitioned by {table.partition_by}, got {column} in {values}")
        listed = ", ".join(literal(str(value)) for value in values)
        return self._publish(table, data, extras, mode="overwrite", predicate=f"{column} IN ({listed})")

    def delete(self, name: str, predicate: str, *, metadata: Mapping[str, Any] | None = None) -> None:
        """Delete whole partitions, by an SQL predicate on them, in one commit; see :meth:`rewrite` for rows."""
        delta = self.open(name)
        _retried(lambda: delta.delete(predicate, commit_properties=_properties(metadata)), delta)

    def rewrite(self, name: str, where: pa_dataset.Expression, *, instead: pa.Table | None = None) -> int:
        """Delete the rows that match a filter, or replace them by others, in one commit; returns how many.

        Rows for which ``where`` is null stay; the rows ``instead`` must be of the same partitions. What remains
        of every partition that holds such rows is rewritten, as a stream: Delta's own DELETE writes files that
        Arrow then cannot filter by text, and notes its condition in the log.
        """
        delta = self.open(name)
        partitioned = list(delta.metadata().partition_columns)
        gone = 0

        def commit() -> None:
            nonlocal gone
            dataset = self._arrow(delta, name)
            found = dataset.to_table(columns=partitioned or dataset.schema.names[:1], filter=where)
            gone = found.num_rows
            if not gone:
                return
            touched = found.group_by(partitioned).aggregate([]).to_pylist() if partitioned else []
            kept = ~pc.coalesce(where, pa_dataset.scalar(value=False))
            if touched:
                kept &= reduce(or_, (having(**part) for part in touched))
            rows = dataset.scanner(filter=kept).to_reader()
            if instead is not None:
                further = instead.cast(rows.schema).to_batches()
                rows = pa.RecordBatchReader.from_batches(rows.schema, chain(rows, further))
            write_deltalake(
                delta,
                rows,
                mode="overwrite",
                predicate=" OR ".join(f"({_predicate(part)})" for part in touched) or None,
                commit_properties=_properties(None),
            )

        _retried(commit, delta)
        return gone

    def vacuum(self, name: str, *, retain_days: int) -> list[str]:
        """Remove files that no version younger than ``retain_days`` needs; returns their names.

        Older versions can no longer be read afterwards: runs that pin them cannot be repeated.
        """
        delta = self.open(name)
        return list(
            delta.vacuum(retention_hours=24 * retain_days, dry_run=False, enforce_retention_duration=False)
        )

    def drop_past(self, name: str) -> int:
        """Remove every version of a table but the newest; returns how many files were removed.

        A delete makes a new version; the rows stay in the files of older ones, and the log holds the smallest and
        largest values of every file: this ends both. Safe to repeat and to interrupt: the newest version is
        readable at every moment. Runs that pin an older version can no longer be repeated, and a reader or writer
        that is under way may fail and must be tried again.
        """
        delta = self.open(name)
        removed = delta.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
        removed += delta.vacuum(
            retention_hours=_UNDER_WAY_HOURS, dry_run=False, enforce_retention_duration=False, full=True
        )
        # From a checkpoint on, readers need no earlier entry of the log. The vacuum's own entries are the last
        # ones, so the entry that names what was deleted is among those that go.
        delta = self.open(name)
        delta.create_checkpoint()
        filesystem, path = self.filesystem()
        entries = filesystem.get_file_info(pa_fs.FileSelector(f"{path}/{name}/_delta_log"))
        numbered = [(each.base_name.partition(".")[0], each.path) for each in entries if each.is_file]
        old = [path for number, path in numbered if number.isdigit() and int(number) < delta.version()]
        for path in old:
            filesystem.delete_file(path)
        return len(removed) + len(old)

    # ---------------------------------------------------------------- inside

    def _create(self, table: Table) -> DeltaTable:
        """Open the table, making it empty if it is not there (safe when two processes do so)."""
        if not self.exists(table.name):
            DeltaTable.create(
                self.uri(table.name),
                table.arrow_schema,
                mode="ignore",
                partition_by=list(table.partition_by) or None,
                description=table.description,
            )
        return self.open(table.name)

    def _publish(self, table: Table, data: Rows, extras: Extras, *further: Audit, **how: Any) -> Commit:
        """Audit and write; ``how`` is passed to ``write_deltalake``."""
        if isinstance(data, Sequence):
            data = pa.Table.from_pylist(data, schema=table.arrow_schema)
        problems = schema_problems(table, data.schema)
        if problems:
            raise _refusal(table, problems)
        with staged(table, data) as rows:
            contract = judge_contract(table, rows.relation)
            problems += [outcome.problem for outcome in contract if outcome.offending]
            for audit in (*extras.get("audits", ()), *further):
                problems += audit(rows.relation)
            if examine := extras.get("examine"):
                problems += examine(rows.relation, contract)
            if problems:
                raise _refusal(table, problems)
            delta, properties = self._create(table), _properties(extras.get("metadata"))
            _retried(lambda: write_deltalake(delta, rows.read(), commit_properties=properties, **how), delta)
            return Commit(table.name, self.version(table.name), rows.rows)


def _refusal(table: Table, problems: Sequence[str]) -> DataContractError:
    listed = "; ".join(problems)
    return DataContractError(f"{table.name}: not published, the previous version stays. {listed}")


def _predicate(partition: Mapping[str, PartitionValue]) -> str:
    return " AND ".join(f"{name} = {literal(str(value))}" for name, value in partition.items())


def _inside(partition: Mapping[str, PartitionValue]) -> Audit:
    def audit(staged: duckdb.DuckDBPyRelation) -> list[str]:
        outside = " or ".join(
            f"{quoted(name)} is distinct from {literal(str(value))}" for name, value in partition.items()
        )
        count = staged.filter(outside).aggregate("count(*)").fetchall()[0][0]
        return [f"{count} rows lie outside the partition {dict(partition)}"] if count else []

    return audit


def _properties(metadata: Mapping[str, Any] | None) -> CommitProperties:
    custom = {
        key: value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
        for key, value in (metadata or {}).items()
    }
    return CommitProperties(custom_metadata=custom, max_commit_retries=_COMMIT_ATTEMPTS)


def _retried(write: Callable[[], Any], delta: DeltaTable) -> None:
    """Repeat a write that lost a race to another process, on top of the winner's version."""
    for attempt in range(_COMMIT_ATTEMPTS):
        try:
            write()
        except CommitFailedError:
            if attempt == _COMMIT_ATTEMPTS - 1:
                raise
            time.sleep(random.uniform(0, 0.05 * 2 ** min(attempt, 6)))  # noqa: S311 - jitter, not a secret
            delta.update_incremental()
        else:
            return
