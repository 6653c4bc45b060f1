"""Where a use case publishes, as it declares it: objects in Salesforce, namespaces in DynamoDB."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar, Generic, TypeVar

import pyarrow as pa
from pydantic import Field

from pipelines.io.lake import Lake
from pipelines.params import Params
from pipelines.settings import Settings
from pipelines.sinks.diff import OnLeave
from pipelines.sinks.dynamodb import target as dynamodb
from pipelines.sinks.report import Asked, PublishReport
from pipelines.sinks.salesforce import target as salesforce

P = TypeVar("P", bound=Params)


class SalesforceParams(Params):
    """How records reach Salesforce."""

    on_leave: OnLeave = Field(description="What happens to the record of a row that is no longer wanted.")
    max_leavers_share: float = Field(ge=0, le=1)
    max_dead_share: float = Field(ge=0, le=1, description="Dead letters above this share fail the step.")


class DynamoParams(Params):
    """How versions of items reach DynamoDB."""

    retention_days: int = Field(ge=1, description="Versions older than this expire.")
    max_write_units: int = Field(ge=1, description="Write units per second.")


@dataclass(frozen=True)
class SalesforceObject(Generic[P]):
    """Records of one object, upserted on an external id; only changed rows are sent."""

    #: API names of the object and of its external id field.
    object: str
    external_id: str
    #: Outbound column with the parent's id: rows of one parent travel together.
    parent: str
    #: dbt model below ``marts/exports`` whose rows are sent. A null clears the field.
    export: str
    #: The part of the use case's parameters that bounds the publication.
    params: Callable[[P], SalesforceParams]
    sink: ClassVar[str] = salesforce.SINK

    @property
    def key(self) -> str:
        """Outbound column that identifies a row."""
        return self.external_id

    @property
    def ledger_object(self) -> str:
        """Object in ``ops/publish_runs``; ``*/`` stands for any table of the deployment."""
        return self.object

    def described(self, columns: Sequence[str]) -> salesforce.SalesforceTarget:
        """Object and fields that rows with these columns are sent to."""
        fields = {name: salesforce.Null.CLEAR for name in columns if name != self.external_id}
        return salesforce.SalesforceTarget(self.object, self.external_id, fields, sort_by=self.parent)

    def publish(
        self, rows: pa.Table, as_of: date, params: P, asked: Asked, settings: Settings, lake: Lake
    ) -> PublishReport:
        """Make the records equal to the rows; raises unless everything was delivered."""
        from pipelines.sinks.salesforce.publisher import publish

        limits, target = self.params(params), self.described(rows.column_names)
        options = salesforce.PublishOptions(
            **vars(asked), on_leave=limits.on_leave, max_leavers_share=limits.max_leavers_share
        )
        report = publish(rows, as_of=as_of, target=target, settings=settings, lake=lake, options=options)
        report.require_delivery(limits.max_dead_share)
        return report


@dataclass(frozen=True)
class DynamoNamespace(Generic[P]):
    """Items under one prefix, published as versions of which one serves."""

    #: Prefix of all keys.
    namespace: str
    #: dbt model below ``marts/exports`` whose rows become items.
    export: str
    #: The part of the use case's parameters that bounds the publication.
    params: Callable[[P], DynamoParams]
    #: Outbound column that is the key of an item.
    key: str = "item_key"
    #: Digits after the point to which numbers are rounded.
    decimals: int = 3
    sink: ClassVar[str] = dynamodb.SINK

    @property
    def ledger_object(self) -> str:
        """Object in ``ops/publish_runs``; ``*/`` stands for any table of the deployment."""
        return f"*/{self.namespace}"

    def publish(
        self, rows: pa.Table, as_of: date, params: P, asked: Asked, settings: Settings, lake: Lake
    ) -> PublishReport:
        """Write a new version beside the old one and let it serve once every item is confirmed."""
        from pipelines.sinks.dynamodb.publisher import publish

        limits, table = self.params(params), dynamodb.configured(settings).table
        target = dynamodb.DynamoTarget(
            table, self.namespace, self.key, retention_days=limits.retention_days, decimals=self.decimals
        )
        options = dynamodb.LoadOptions(
            **vars(asked), max_write_units=limits.max_write_units, ledger_days=limits.retention_days
        )
        return publish(rows, as_of=as_of, target=target, settings=settings, lake=lake, options=options)


#: A place where a use case publishes.
Target = SalesforceObject[Any] | DynamoNamespace[Any]
