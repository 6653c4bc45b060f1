"""Tables of the publish ledger: append-only events, folded into the present state when read.

Appending never conflicts with other writers, a commit is atomic, and nothing that happened is ever
overwritten. The order of the events of a run is their ``seq``, not their clock.
"""

from __future__ import annotations

from enum import StrEnum

from features.schemas import Column, DType, Table


class Operation(StrEnum):
    """What is done to the record of a row."""

    UPSERT = "upsert"
    #: Every outbound field is set to null; the record stays.
    CLEAR = "clear"
    DELETE = "delete"


class RowState(StrEnum):
    """Fate of a row. ``sent`` and ``unknown`` follow from the job that carries the row."""

    PLANNED = "planned"
    SENT = "sent"
    UNKNOWN = "unknown"
    OK = "ok"
    #: Failed for a transient reason; it is tried again in a later job.
    FAILED = "failed"
    #: Failed for good, or too often.
    DEAD = "dead"
    SKIPPED = "skipped"


class JobState(StrEnum):
    """State of the job that carries one chunk of a run; a sink without jobs (DynamoDB) makes up their ids.

    A chunk without a job is not listed: nothing was asked of the sink, or its answer was lost.
    """

    #: The sink knows the job; its rows may or may not have been handed over.
    CREATED = "created"
    #: We stopped waiting; the sink may still finish it.
    UNKNOWN = "unknown"
    #: Ended before any row was processed; the chunk is done again in a new job.
    ABORTED = "aborted"
    #: The sink no longer knows the job; what became of its rows cannot be asked.
    GONE = "gone"
    #: Every row's outcome is in the ledger.
    COMPLETE = "complete"


class RunState(StrEnum):
    """State of a run."""

    OPEN = "open"
    FINISHED = "finished"
    #: Closed by a later run with other rows before all of its own were sent.
    SUPERSEDED = "superseded"


#: Codes that the ledger itself assigns to rows; the others are the sink's.
UNCHANGED, KEPT, ABSENT = "UNCHANGED", "KEPT", "ABSENT"
SUPERSEDED, NOT_PROCESSED, JOB_GONE = "SUPERSEDED", "NOT_PROCESSED", "JOB_GONE"

#: Hash of a published row whose content is not known: equal to no payload, so it is sent again.
UNKNOWN_HASH = "unknown"

_SINK = Column("sink", DType.STRING, "Where the rows go: `salesforce`, `dynamodb`.")
_OBJECT = Column("object", DType.STRING, "Object or table in the sink.")
_AS_OF = Column("as_of", DType.DATE, "Day whose rows are published.")
_RUN_ID = Column("run_id", DType.STRING, "Run; a run exists once it is in `ops/publish_runs`.")
_SEQ = Column("seq", DType.INTEGER, "Order of the event within its run; the highest holds.", minimum=0)
_RECORDED = Column("recorded_at", DType.TIMESTAMP, "When the event was written down.", unit="UTC")


def _count(name: str, description: str, *, nullable: bool = False) -> Column:
    return Column(name, DType.INTEGER, description, unit="rows", nullable=nullable, minimum=0)


RUNS = Table(
    name="ops/publish_runs",
    description="Runs that deliver the rows of a day to a sink. One row per run and state of it.",
    columns=(
        _SINK,
        _OBJECT,
        _AS_OF,
        Column("run_key", DType.STRING, "Hash of sink, object, `as_of` and wanted rows: same key, same run."),
        _RUN_ID,
        Column("run_no", DType.INTEGER, "Order of the runs of an object, from 1.", minimum=1),
        _SEQ,
        Column("state", DType.STRING, "State of the run.", allowed=tuple(RunState)),
        Column("forced", DType.BOOLEAN, "Whether a guard (older day, too many leavers) was overridden."),
        _count("planned", "Rows to send."),
        _count("sent", "Rows that went out in at least one job: `ok + failed + unknown`."),
        _count("ok", "Sent rows that the sink accepted."),
        _count("failed", "Sent rows whose last answer was an error."),
        _count("unknown", "Sent rows without an answer yet."),
        _count("skipped", "Rows with nothing to send."),
        _count("deleted", "Accepted rows that removed a record."),
        _count("dead", "Failed rows that are not tried again."),
        Column("jobs", DType.INTEGER, "Jobs made in the sink.", minimum=0),
        _RECORDED,
    ),
    key=("run_id", "seq"),
)

ROWS = Table(
    name="ops/publish_rows",
    description=(
        "Plan and outcome of every row of a run, skipped ones included, so that the newest run alone "
        "tells what the sink holds. One row per run, external id and event."
    ),
    columns=(
        _SINK,
        _OBJECT,
        _AS_OF,
        _RUN_ID,
        _SEQ,
        Column("external_id", DType.STRING, "Key of the record in the sink."),
        Column("operation", DType.STRING, "What is done to the record.", allowed=tuple(Operation)),
        Column(
            "state",
            DType.STRING,
            "Plan or outcome; `sent` and `unknown` follow from the job of the chunk.",
            allowed=("planned", "skipped", "ok", "failed", "dead"),
        ),
        Column("attempt", DType.INTEGER, "Which try, from 1; 0 for a skipped row.", minimum=0),
        Column("chunk", DType.INTEGER, "Chunk of the run; null for a skipped row.", nullable=True, minimum=0),
        Column("payload_hash", DType.STRING, "Hash of what is wanted; null for a delete.", nullable=True),
        Column(
            "base_hash",
            DType.STRING,
            "Hash of what the sink held before the run; null if nothing, `unknown` if it cannot be told.",
            nullable=True,
        ),
        Column("remote_id", DType.STRING, "Id that the sink gave the record; null if none.", nullable=True),
        Column("job_id", DType.STRING, "Job that answered; null for a plan.", nullable=True),
        Column("code", DType.STRING, "Why it failed or was skipped; null if ok.", nullable=True),
        Column("message", DType.STRING, "The sink's words; null if none.", nullable=True),
        _RECORDED,
    ),
    key=("run_id", "external_id", "seq"),
    partition_by=("sink", "as_of"),
)

FLIPS = Table(
    name="ops/publish_flips",
    description=(
        "Which version of what was published served since when, for sinks that keep versions. "
        "One row per object and move of its pointer."
    ),
    columns=(
        _SINK,
        _OBJECT,
        Column("revision", DType.INTEGER, "How often the pointer had moved, this move included.", minimum=1),
        Column("kind", DType.STRING, "What moved it.", allowed=("publish", "rollback")),
        Column("as_of", DType.DATE, "Day that the version is about."),
        Column("version", DType.STRING, "Version that serves from now on; the run that wrote it."),
        Column("before", DType.STRING, "Version that served until now; null for the first.", nullable=True),
        Column("why", DType.STRING, "The reason, in words."),
        Column("who", DType.STRING, "Run (`run:<run id>`) or person."),
        _RECORDED,
    ),
    key=("sink", "object", "revision"),
)

JOBS = Table(
    name="ops/publish_jobs",
    description="Jobs that carry the chunks of a run. One row per run, chunk and event.",
    columns=(
        _SINK,
        _OBJECT,
        _AS_OF,
        _RUN_ID,
        Column("chunk", DType.INTEGER, "Chunk of the run, from 0.", minimum=0),
        _SEQ,
        Column("attempt", DType.INTEGER, "Which try of its rows, from 1.", minimum=1),
        Column("operation", DType.STRING, "Operation of the job.", allowed=("upsert", "delete")),
        Column("state", DType.STRING, "State of the chunk's newest job.", allowed=tuple(JobState)),
        _count("rows", "Rows of the chunk."),
        Column("job_id", DType.STRING, "Id in the sink."),
        _count("ok", "Rows accepted; null before the results.", nullable=True),
        _count("failed", "Rows refused; null before the results.", nullable=True),
        _count("unprocessed", "Rows the job did not reach; null before the results.", nullable=True),
        Column("message", DType.STRING, "The sink's words about the job; null if none.", nullable=True),
        _RECORDED,
    ),
    key=("run_id", "chunk", "seq"),
)
