"""What is published to Salesforce, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pipelines.errors import ConfigError
from pipelines.sinks.backoff import Backoff
from pipelines.sinks.diff import OnLeave
from pipelines.sinks.report import Asked

SINK = "salesforce"

#: Bulk API 2.0 takes 150 MB per job after base64, which is 100 MB of CSV (Salesforce advises less).
MAX_UPLOAD_BYTES = 100_000_000


class Null(StrEnum):
    """What a null value of an outbound column does to the field."""

    #: The field is emptied (``#N/A`` in the file).
    CLEAR = "clear"
    #: The field keeps what it has (an empty cell).
    KEEP = "keep"


@dataclass(frozen=True)
class SalesforceTarget:
    """An object and the fields of it that are published."""

    #: API name, for instance ``Churn_Score__c``.
    object: str
    #: External ID field that identifies the record; also the name of the column that holds it.
    external_id_field: str
    #: Every other outbound column, by API name of its field (``Lookup__r.Other_External_Id__c`` sets a
    #: lookup), and what a null does to it.
    fields: Mapping[str, Null]
    #: Outbound column that holds the parent's id: rows of one parent travel together, because two batches
    #: that touch the children of one parent wait for each other's lock.
    sort_by: str

    def __post_init__(self) -> None:
        names = {name.lower() for name in self.fields}
        if self.external_id_field.lower() in names:
            raise ConfigError(
                f"{self.object}.{self.external_id_field} is the external id and must not be mapped as an "
                f"ordinary field too: remove it from fields"
            )
        if "id" in names:
            raise ConfigError(
                f"{self.object}: Id must not be mapped, Salesforce finds the record by "
                f"{self.external_id_field}; remove Id from fields"
            )
        if len(names) != len(self.fields):
            raise ConfigError(f"{self.object}: fields differ only in case: {sorted(self.fields)}")
        if self.sort_by not in (*self.fields, self.external_id_field):
            raise ConfigError(f"{self.object}: sort_by must be an outbound field, got {self.sort_by!r}")

    @property
    def columns(self) -> list[str]:
        """Columns of the file: the external id, then the fields."""
        return [self.external_id_field, *self.fields]


@dataclass(frozen=True)
class PublishOptions(Asked):
    """How a publish behaves; the defaults suit a production org."""

    #: What happens to the record of a row that is no longer wanted.
    on_leave: OnLeave = OnLeave.DELETE
    #: Largest share of the published records that may leave in one run.
    max_leavers_share: float = 0.2
    #: Send unchanged rows too, for instance after someone edited records by hand.
    resend: bool = False
    #: Size of a job's file, never exceeded.
    max_chunk_bytes: int = 90_000_000
    max_chunk_rows: int = 100_000
    #: Jobs that a row may fail in before it is dead.
    max_attempts: int = 5
    #: Jobs made for one chunk before giving up when uploads keep breaking.
    max_jobs_per_chunk: int = 5
    #: Waits before rows that failed for a transient reason are sent again.
    retry_wait: Backoff = field(default_factory=lambda: Backoff(base_s=20.0, cap_s=300.0))
    #: Waits and tries of a single request.
    http: Backoff = field(default_factory=Backoff)
    #: Waits between looks at a running job; ``attempts`` is not used.
    poll: Backoff = field(default_factory=lambda: Backoff(base_s=1.0, cap_s=20.0))
    #: Seconds to wait for a job; its rows are then *unknown*, and a re-run looks again.
    poll_timeout_s: float = 1800.0
    #: Longest silence while connecting and while waiting for bytes.
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 120.0
    #: Records read back after the load and compared.
    readback_rows: int = 20

    def __post_init__(self) -> None:
        if not 0 < self.max_chunk_bytes <= MAX_UPLOAD_BYTES:
            raise ConfigError(
                f"max_chunk_bytes must be in [1, {MAX_UPLOAD_BYTES}], got {self.max_chunk_bytes}"
            )
        if self.max_chunk_rows < 1 or self.max_attempts < 1 or self.max_jobs_per_chunk < 1:
            raise ConfigError("max_chunk_rows, max_attempts and max_jobs_per_chunk must be >= 1")
