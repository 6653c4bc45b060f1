"""Where a use case publishes, as it declares it: objects in Salesforce, namespaces in DynamoDB."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import pyarrow as pa
from pydantic import Field

from pipelines.io.lake import Lake
from pipelines.params import Params
from pipelines.settings import Settings
from pipelines.sinks.diff import OnLeave
from pipelines.sinks.report import PublishReport

if TYPE_CHECKING:
    from pipelines.sinks.salesforce.target import SalesforceTarget

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
class Asked:
    """What a person asks of one publication.

    Attributes
    ----------
    dry_run
        Count and show five rows, send nothing.
    force
        Override the guards: an older day, many leavers, a model that never passed the gate.
    retry_dead
        Send dead letters again, once their cause is fixed.
    """

    dry_run: bool = False
    force: bool = False
    retry_dead: bool = False


@dataclass(frozen=True)
class SalesforceObject(Generic[P]):
    """Records of one object, upserted on an external id; only changed rows are sent.

    Attributes
    ----------
    object, external_id
        API names of the object and of its external id field.
    parent
        Outbound column with the parent's id: rows of one parent travel together.
    export
        dbt model below ``marts/exports`` whose rows are sent. A null clears the field.
    params
        The part of the use case's parameters that bounds the publication.
    """

    object: str
    external_id: str
    parent: str
    export: str
    params: Callable[[P], SalesforceParams]
    sink: ClassVar[str] = "salesforce"

    @property
    def key(self) -> str:
        """Outbound column that identifies a row."""
        return self.external_id

    @property
    def ledger_object(self) -> str:
        """Object in ``ops/publish_runs``; ``*/`` stands for any table of the deployment."""
        return self.object

    def described(self, columns: Sequence[str]) -> SalesforceTarget:
        """Object and fields that rows with these columns are sent to."""
        from pipelines.sinks.salesforce.target import Null, SalesforceTarget

        fields = {name: Null.CLEAR for name in columns if name != self.external_id}
        return SalesforceTarget(self.object, self.external_id, fields, sort_by=self.parent)

    def publish(
        self,
        rows: pa.Table,
        as_of: date,
        params: P,
        asked: Asked,
        settings: Settings,
        lake: Lake,
    ) -> PublishReport:
        """Make the records equal to the rows; raises unless everything was delivered."""
        from pipelines.sinks.salesforce.publisher import publish
        from pipelines.sinks.salesforce.target import PublishOptions

        limits = self.params(params)
        report = publish(
            rows,
            as_of=as_of,
            target=self.described(rows.column_names),
            settings=settings,
            lake=lake,
            options=PublishOptions(
                on_leave=limits.on_leave,
                max_leavers_share=limits.max_leavers_share,
                force=asked.force,
                dry_run=asked.dry_run,
                retry_dead=asked.retry_dead,
            ),
        )
        report.require_delivery(limits.max_dead_share)
        return report


@dataclass(frozen=True)
class DynamoNamespace(Generic[P]):
    """Items under one prefix, published as versions of which one serves.

    Attributes
    ----------
    namespace
        Prefix of all keys.
    export
        dbt model below ``marts/exports`` whose rows become items.
    params
        The part of the use case's parameters that bounds the publication.
    key
        Outbound column that is the key of an item.
    decimals
        Digits after the point to which numbers are rounded.
    """

    namespace: str
    export: str
    params: Callable[[P], DynamoParams]
    key: str = "item_key"
    decimals: int = 3
    sink: ClassVar[str] = "dynamodb"

    @property
    def ledger_object(self) -> str:
        """Object in ``ops/publish_runs``; ``*/`` stands for any table of the deployment."""
        return f"*/{self.namespace}"

    def publish(
        self,
        rows: pa.Table,
        as_of: date,
        params: P,
        asked: Asked,
        settings: Settings,
        lake: Lake,
    ) -> PublishReport:
        """Write a new version beside the old one and let it serve once every item is confirmed."""
        from pipelines.sinks.dynamodb.publisher import publish
        from pipelines.sinks.dynamodb.target import DynamoTarget, LoadOptions, configured

        limits = self.params(params)
        return publish(
            rows,
            as_of=as_of,
            target=DynamoTarget(
                configured(settings).table,
                self.namespace,
                self.key,
                retention_days=limits.retention_days,
                decimals=self.decimals,
            ),
            settings=settings,
            lake=lake,
            options=LoadOptions(
                force=asked.force,
                dry_run=asked.dry_run,
                retry_dead=asked.retry_dead,
                max_write_units=limits.max_write_units,
                ledger_days=limits.retention_days,
            ),
        )


#: A place where a use case publishes.
Target = SalesforceObject[Any] | DynamoNamespace[Any]
