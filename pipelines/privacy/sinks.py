"""A person in the systems that were published to: Salesforce records and jobs, DynamoDB items."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar, Generic, TypeVar

import polars as pl
import pyarrow as pa
import pyarrow.dataset as pa_dataset

from pipelines.discovery import every
from pipelines.errors import ConfigError, SinkError
from pipelines.io.lake import Lake, having
from pipelines.privacy.person import Person
from pipelines.settings import Settings
from pipelines.sinks.dynamodb.connection import Connection as DynamoConnection
from pipelines.sinks.dynamodb.target import SINK as DYNAMODB
from pipelines.sinks.dynamodb.target import LoadOptions
from pipelines.sinks.dynamodb.versions import Versions
from pipelines.sinks.ledger import Ledger
from pipelines.sinks.ledger_tables import JOBS, ROWS, RunState
from pipelines.sinks.publication import alone
from pipelines.sinks.salesforce import erasure as salesforce
from pipelines.sinks.salesforce.connection import Connection as SalesforceConnection
from pipelines.sinks.salesforce.target import SINK as SALESFORCE
from pipelines.sinks.salesforce.target import PublishOptions
from pipelines.sinks.target import DynamoNamespace, SalesforceObject

C = TypeVar("C")


def salesforce_objects() -> dict[str, str]:
    """Objects that use cases publish to Salesforce, each with its external id field."""
    targets = [target for usecase in every() for target in usecase.targets]
    return {each.object: each.external_id for each in targets if isinstance(each, SalesforceObject)}


def dynamodb_namespaces() -> list[str]:
    """Namespaces that use cases publish to DynamoDB."""
    targets = [target for usecase in every() for target in usecase.targets]
    return [each.namespace for each in targets if isinstance(each, DynamoNamespace)]


class _Published(ABC, Generic[C]):
    """What was published to one system, which is asked only if something was."""

    name: ClassVar[str]
    #: What to do if the system is not configured although it holds something of the person.
    unconfigured: ClassVar[str]

    def __init__(self, settings: Settings, lake: Lake) -> None:
        self._settings = settings
        self._lake = lake
        self._place = getattr(settings, self.name)

    def find(self, person: Person) -> dict[str, int]:
        """Count what the system holds of the person, by place."""
        found: dict[str, int] = {}
        if self._is_used(person):
            with self._connect() as connection:
                for object_ in self._objects():
                    found |= self._count(connection, object_, person)
        return found

    def erase(self, person: Person) -> None:
        """Remove it for good; raises ``SinkError`` if a publication that could bring it back has not ended."""
        if not self._is_used(person):
            return
        with self._connect() as connection:
            for object_ in self._objects():
                if not self._may_hold(connection, object_, person):
                    continue
                with alone(self._settings, self.name, object_, then="run forget again: it resumes"):
                    self._refuse_open(object_)
                    self._purge(connection, object_, person)

    @abstractmethod
    def _connect(self) -> AbstractContextManager[C]:
        """Connection to the system."""

    @abstractmethod
    def _objects(self) -> list[str]:
        """What use cases publish there, as the ledger calls it."""

    @abstractmethod
    def _count(self, connection: C, object_: str, person: Person) -> dict[str, int]:
        """Count what an object holds, by place."""

    @abstractmethod
    def _purge(self, connection: C, object_: str, person: Person) -> None:
        """Remove it."""

    def _may_hold(self, connection: C, object_: str, person: Person) -> bool:
        """Whether there may be something to remove."""
        return True

    def _is_used(self, person: Person) -> bool:
        """Whether the system may hold something; if nothing was ever published, it stays off the network."""
        if self._place is not None:
            return any(map(self._has_runs, self._objects()))
        if self._rows(person).height:
            raise ConfigError(self.unconfigured)
        return False

    def _has_runs(self, object_: str) -> bool:
        return Ledger(self._lake, self.name, object_).runs().height > 0

    def _refuse_open(self, object_: str) -> None:
        newest = Ledger(self._lake, self.name, object_).newest()
        if newest is not None and newest.state is RunState.OPEN:
            raise SinkError(
                f"the publication {newest.run_id} of {object_} was broken off, and a job of it could bring the record "
                "back: run the publication again until it ends, then forget again: it resumes"
            )

    def _rows(self, person: Person, object_: str | None = None) -> pl.DataFrame:
        """Runs and chunks in which the person was published, to one object or to any."""
        where = having(sink=self.name) & pa_dataset.field("external_id").isin(pa.array(person.ids))
        rows = pl.DataFrame(self._lake.read(ROWS, columns=["run_id", "chunk"], where=where, missing_ok=True))
        rows = rows.drop_nulls("chunk").unique()
        if object_ is None:
            return rows
        return rows.join(Ledger(self._lake, self.name, object_).runs(), on="run_id", how="semi")

    def _jobs(self, person: Person, object_: str) -> list[str]:
        """Jobs that carried the person's record."""
        where = having(sink=self.name, object=object_)
        columns = ["run_id", "chunk", "job_id"]
        jobs = pl.DataFrame(self._lake.read(JOBS, columns=columns, where=where, missing_ok=True))
        mine = jobs.join(self._rows(person, object_), on=["run_id", "chunk"], how="semi")
        return mine["job_id"].unique().sort().to_list()


class SalesforceRecords(_Published[SalesforceConnection]):
    """Records of the person in Salesforce, the recycle bin included, and the jobs that carried them.

    The account or contact itself is the CRM's: nothing here ever wrote it, and nothing here removes it.
    """

    name = SALESFORCE
    unconfigured = (
        "Salesforce holds records of this person but is not configured here: set "
        "MILLRACE_SALESFORCE__USERNAME, __PASSWORD and __INSTANCE, and run it again"
    )

    def _connect(self) -> AbstractContextManager[SalesforceConnection]:
        return nullcontext(SalesforceConnection(self._place, PublishOptions()))

    def _objects(self) -> list[str]:
        return [name for name in salesforce_objects() if self._has_runs(name)]

    def _count(self, connection: SalesforceConnection, object_: str, person: Person) -> dict[str, int]:
        records = salesforce.records(connection, object_, salesforce_objects()[object_], person.natural_id)
        jobs = salesforce.jobs_kept(connection, self._jobs(person, object_))
        return {object_: len(records), f"{object_} (jobs)": len(jobs)}

    def _purge(self, connection: SalesforceConnection, object_: str, person: Person) -> None:
        salesforce.purge(connection, object_, salesforce_objects()[object_], person.natural_id)
        salesforce.drop_jobs(connection, self._jobs(person, object_))


class DynamoItems(_Published[DynamoConnection]):
    """Items of the person in DynamoDB, in every version that is kept, and as samples that versions remember."""

    name = DYNAMODB
    unconfigured = (
        "DynamoDB holds items of this person but is not configured here: set MILLRACE_DYNAMODB__TABLE "
        "and MILLRACE_DYNAMODB__REGION, and run it again"
    )

    def _connect(self) -> AbstractContextManager[DynamoConnection]:
        return DynamoConnection(self._place, LoadOptions())

    def _objects(self) -> list[str]:
        return [f"{self._place.table}/{namespace}" for namespace in dynamodb_namespaces()]

    def _count(self, connection: DynamoConnection, object_: str, person: Person) -> dict[str, int]:
        return {object_: len(Versions(connection, *object_.split("/")).items(person.natural_id))}

    def _may_hold(self, connection: DynamoConnection, object_: str, person: Person) -> bool:
        return self._rows(person, object_).height > 0 or bool(
            self._count(connection, object_, person)[object_]
        )

    def _purge(self, connection: DynamoConnection, object_: str, person: Person) -> None:
        Versions(connection, *object_.split("/")).forget(person.natural_id)
