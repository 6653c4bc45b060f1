"""What is published to DynamoDB, under which keys, and how."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from pipelines.errors import ConfigError
from pipelines.settings import DynamoSettings, Settings
from pipelines.sinks.backoff import Backoff
from pipelines.sinks.report import Asked

SINK = "dynamodb"

#: Attributes that the sink itself adds to every item: partition key, sort key, time to live.
PARTITION_KEY, SORT_KEY, EXPIRES_AT = "pk", "sk", "expires_at"

_TABLE = re.compile(r"[A-Za-z0-9_.-]{3,255}")
_NAMESPACE = re.compile(r"[a-z][a-z0-9_]{0,62}")


@dataclass(frozen=True)
class DynamoTarget:
    """Items of one use case in a table.

    The item with key ``K`` of version ``V`` has the partition key ``<namespace>#K`` and the sort key
    ``V``: versions lie beside each other, and partition keys are as many as items, so that no
    partition is hot.
    """

    #: Name of the table; use cases may share one.
    table: str
    #: Prefix of all keys, for instance ``shop``.
    namespace: str
    #: Outbound column that holds an item's key.
    key: str
    #: A version of day D is kept until the end (UTC) of day D + ``retention_days``, then it expires. Choose
    #: it so that a version has nothing left to say by then: a current one expires too.
    retention_days: int
    #: Digits after the point to which numbers are rounded (halves to even).
    decimals: int = 3

    def __post_init__(self) -> None:
        check_table_name(self.table)
        if not _NAMESPACE.fullmatch(self.namespace):
            raise ConfigError(
                f"namespace must be 1 to 63 of a-z, 0-9 and _, a letter first, got {self.namespace!r}"
            )
        if self.key in (PARTITION_KEY, SORT_KEY, EXPIRES_AT):
            raise ConfigError(f"the key column must not be called {self.key!r}: the sink writes that itself")
        if self.retention_days < 1 or not 0 <= self.decimals <= 10:
            raise ConfigError(
                f"retention_days must be >= 1 and decimals in [0, 10], got {self.retention_days} and {self.decimals}"
            )

    @property
    def object(self) -> str:
        """What the ledger calls it."""
        return f"{self.table}/{self.namespace}"

    def partition_key(self, key: str) -> str:
        """Partition key of an item."""
        return f"{self.namespace}#{key}"

    def kept_through(self, as_of: date) -> date:
        """Last day on which a version is sure to be there."""
        return as_of + timedelta(days=self.retention_days)

    def expires_at(self, as_of: date) -> int:
        """Moment from which a version of ``as_of`` may be removed, in seconds since 1970 (UTC)."""
        end = self.kept_through(as_of) + timedelta(days=1)
        return int(datetime(end.year, end.month, end.day, tzinfo=UTC).timestamp())


def check_table_name(name: str) -> None:
    """Check a table's name by the rules of the service, which its twins do not all keep."""
    if not _TABLE.fullmatch(name):
        raise ConfigError(
            f"a DynamoDB table's name must be 3 to 255 of a-z, A-Z, 0-9, '_', '-' and '.', got {name!r}; "
            "set MILLRACE_DYNAMODB__TABLE"
        )


def configured(settings: Settings) -> DynamoSettings:
    """DynamoDB of this deployment, or the error that says how to configure it."""
    if settings.dynamodb is None:
        raise ConfigError(
            "DynamoDB is not configured: set MILLRACE_DYNAMODB__TABLE and MILLRACE_DYNAMODB__REGION "
            "(and __ENDPOINT_URL for a service other than AWS's)"
        )
    return settings.dynamodb


@dataclass(frozen=True)
class LoadOptions(Asked):
    """How a publish behaves; the defaults suit a new on-demand table."""

    #: Largest share of the items of the version that serves by which the new one may be smaller.
    max_loss_share: float = 0.2
    #: Write units used per second, at most; a new on-demand table takes 4,000.
    max_write_units: float = 4000.0
    #: Requests under way at a time.
    threads: int = 4
    #: Items whose fates are recorded together; a crash may send this many again.
    chunk_rows: int = 25_000
    #: Rounds in which an item may stay unprocessed before it is dead.
    max_attempts: int = 5
    #: Waits between these rounds.
    retry_wait: Backoff = field(default_factory=lambda: Backoff(base_s=5.0, cap_s=60.0))
    #: Waits and tries of a request, and of a batch that makes no progress.
    http: Backoff = field(default_factory=lambda: Backoff(attempts=10, base_s=0.05, cap_s=20.0))
    #: Longest silence while connecting and while waiting for an answer.
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 30.0
    #: Items read back and compared before a version serves.
    readback_items: int = 50
    #: Days of which the ledger keeps the fate of every single row; None for all.
    ledger_days: int | None = None

    def __post_init__(self) -> None:
        if self.max_write_units <= 0 or min(self.threads, self.chunk_rows, self.max_attempts) < 1:
            raise ConfigError(
                "max_write_units must be > 0 and threads, chunk_rows, max_attempts >= 1, got "
                f"{self.max_write_units}, {self.threads}, {self.chunk_rows}, {self.max_attempts}"
            )
