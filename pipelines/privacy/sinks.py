"""A person in the systems that were published to: Salesforce records and jobs, DynamoDB items."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl
import pyarrow as pa
import pyarrow.dataset as pa_dataset

from pipelines.discovery import every
from pipelines.errors import ConfigError, SinkError
from pipelines.io.lake import Lake
from pipelines.io.lock import exclusive
from pipelines.privacy.person import Person
from pipelines.settings import Settings
from pipelines.sinks.dynamodb import erasure as dynamodb
from pipelines.sinks.dynamodb.connection import Connection as DynamoConnection
from pipelines.sinks.dynamodb.outbound import SINK as DYNAMODB
from pipelines.sinks.dynamodb.target import LoadOptions
from pipelines.sinks.ledger import Ledger
from pipelines.sinks.ledger_tables import JOBS, ROWS, RunState
from pipelines.sinks.run_ledger import to_frame
from pipelines.sinks.salesforce import erasure as salesforce
from pipelines.sinks.salesforce.connection import Connection as SalesforceConnection
from pipelines.sinks.salesforce.outbound import SINK as SALESFORCE
from pipelines.sinks.salesforce.target import PublishOptions
from pipelines.sinks.target import DynamoNamespace, SalesforceObject, Target


def salesforce_objects() -> dict[str, str]:
    """Objects that use cases publish to Salesforce, each with its external id field."""
    return {each.object: each.external_id for each in _targets() if isinstance(each, SalesforceObject)}


def dynamodb_namespaces() -> list[str]:
    """Namespaces that use cases publish to DynamoDB."""
    return [each.namespace for each in _targets() if isinstance(each, DynamoNamespace)]


def _targets() -> Iterator[Target]:
    for usecase in every():
        yield from usecase.targets


class SalesforceRecords:
    """Records of the person in Salesforce, the recycle bin included, and the jobs that carried them.

    The account or contact itself is the CRM's: nothing here ever wrote it, and nothing here removes it.
    """

    name = "salesforce"

    def __init__(self, settings: Settings, lake: Lake) -> None:
        self._settings = settings
        self._lake = lake

    def find(self, person: Person) -> dict[str, int]:
        """Count records, deleted ones too, and jobs that Salesforce still keeps."""
        found: dict[str, int] = {}
        with self._connected(person) as connection:
            if connection is None:
                return {}
            for object_, field in salesforce_objects().items():
                if not Ledger(self._lake, SALESFORCE, object_).runs().height:
                    continue
                records = salesforce.records(connection, object_, field, person.natural_id)
                found[object_] = len(records)
                jobs = _jobs(self._lake, SALESFORCE, object_, person)
                found[f"{object_} (jobs)"] = len(salesforce.jobs_kept(connection, jobs))
        return {name: count for name, count in found.items() if count}

    def erase(self, person: Person) -> None:
        """Remove them for good.

        Raises
        ------
        SinkError
            A publication is under way or was interrupted: its job could bring the record back.
        """
        with self._connected(person) as connection:
            if connection is None:
                return
            for object_, field in salesforce_objects().items():
                ledger = Ledger(self._lake, SALESFORCE, object_)
                if not ledger.runs().height:
                    continue
                busy = _busy(object_)
                with exclusive(self._settings, f"{SALESFORCE}-{object_}", refusal=busy):
                    _refuse_open(ledger, object_)
                    salesforce.purge(connection, object_, field, person.natural_id)
                    salesforce.drop_jobs(connection, _jobs(self._lake, SALESFORCE, object_, person))

    @contextmanager
    def _connected(self, person: Person) -> Iterator[SalesforceConnection | None]:
        if self._settings.salesforce is None:
            if _was_published(self._lake, SALESFORCE, person):
                raise ConfigError(
                    "Salesforce holds records of this person but is not configured here: set "
                    "MILLRACE_SALESFORCE__USERNAME, __PASSWORD and __INSTANCE, and run it again"
                )
            yield None
            return
        if not any(Ledger(self._lake, SALESFORCE, name).runs().height for name in salesforce_objects()):
            yield None  # nothing was ever published: stay off the network
            return
        yield SalesforceConnection(self._settings.salesforce, PublishOptions())


class DynamoItems:
    """Items of the person in DynamoDB, in every version that is kept."""

    name = "dynamodb"

    def __init__(self, settings: Settings, lake: Lake) -> None:
        self._settings = settings
        self._lake = lake

    def find(self, person: Person) -> dict[str, int]:
        """Count items, by namespace."""
        found: dict[str, int] = {}
        with self._connected(person) as connection:
            if connection is None:
                return {}
            for namespace in dynamodb_namespaces():
                items = dynamodb.items(connection, self._table, namespace, person.natural_id)
                found[f"{self._table}/{namespace}"] = len(items)
        return {name: count for name, count in found.items() if count}

    def erase(self, person: Person) -> None:
        """Delete them, and take the key out of the samples that versions remember.

        Raises
        ------
        SinkError
            A publication is under way or was interrupted: it could write the item again.
        """
        with self._connected(person) as connection:
            if connection is None:
                return
            for namespace in dynamodb_namespaces():
                object_ = f"{self._table}/{namespace}"
                if not _ids(self._lake, DYNAMODB, object_, person).height and not dynamodb.items(
                    connection, self._table, namespace, person.natural_id
                ):
                    continue
                lock = f"{DYNAMODB}-{self._table}-{namespace}"
                with exclusive(self._settings, lock, refusal=_busy(object_)):
                    _refuse_open(Ledger(self._lake, DYNAMODB, object_), object_)
                    dynamodb.purge(connection, self._table, namespace, person.natural_id)

    @property
    def _table(self) -> str:
        return self._settings.dynamodb.table if self._settings.dynamodb else ""

    @contextmanager
    def _connected(self, person: Person) -> Iterator[DynamoConnection | None]:
        if self._settings.dynamodb is None:
            if _was_published(self._lake, DYNAMODB, person):
                raise ConfigError(
                    "DynamoDB holds items of this person but is not configured here: set MILLRACE_DYNAMODB__TABLE "
                    "and MILLRACE_DYNAMODB__REGION, and run it again"
                )
            yield None
            return
        if not any(
            Ledger(self._lake, DYNAMODB, f"{self._table}/{name}").runs().height
            for name in dynamodb_namespaces()
        ):
            yield None
            return
        with DynamoConnection(self._settings.dynamodb, LoadOptions()) as connection:
            yield connection


def _busy(object_: str) -> SinkError:
    return SinkError(
        f"another process is publishing to {object_}; wait for it to end, then run forget again: it resumes"
    )


def _refuse_open(ledger: Ledger, object_: str) -> None:
    newest = ledger.newest()
    if newest is not None and newest.state is RunState.OPEN:
        raise SinkError(
            f"the publication {newest.run_id} of {object_} was broken off, and a job of it could bring the record "
            "back: run the publication again until it ends, then forget again: it resumes"
        )


def _ids(lake: Lake, sink: str, object_: str | None, person: Person) -> pl.DataFrame:
    """Runs and chunks in which the person was published."""
    field = pa_dataset.field
    where = (field("sink") == sink) & field("external_id").isin(pa.array(person.ids))
    rows = to_frame(lake.read(ROWS, columns=["run_id", "chunk"], where=where, missing_ok=True))
    rows = rows.drop_nulls("chunk").unique()
    if object_ is None:
        return rows
    runs = Ledger(lake, sink, object_).runs().select("run_id")
    return rows.join(runs, on="run_id", how="semi")


def _was_published(lake: Lake, sink: str, person: Person) -> bool:
    return _ids(lake, sink, None, person).height > 0


def _jobs(lake: Lake, sink: str, object_: str, person: Person) -> list[str]:
    """Jobs that carried the person's record."""
    chunks = _ids(lake, sink, object_, person)
    where = (pa_dataset.field("sink") == sink) & (pa_dataset.field("object") == object_)
    jobs = to_frame(lake.read(JOBS, columns=["run_id", "chunk", "job_id"], where=where, missing_ok=True))
    return jobs.join(chunks, on=["run_id", "chunk"], how="semi")["job_id"].unique().sort().to_list()
