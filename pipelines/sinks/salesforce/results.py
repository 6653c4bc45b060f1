"""Result files of a job: read, reconciled with what was sent, turned into fates of rows."""

from __future__ import annotations

import polars as pl

from pipelines.sinks.fold import fate
from pipelines.sinks.ledger_tables import JOB_GONE, NOT_PROCESSED, UNKNOWN_HASH, Operation
from pipelines.sinks.salesforce.bulk2 import BulkIngest

#: What a result says of a row; the names of the counts in the ledger's jobs table.
KINDS = ("ok", "failed", "unprocessed")

#: Row errors that pass: the row is sent again later. All others fail for good.
PASSING = (
    "UNABLE_TO_LOCK_ROW", "SERVER_UNAVAILABLE", "REQUEST_RUNNING_TOO_LONG", "QUERY_TIMEOUT", "UNKNOWN_EXCEPTION",
    NOT_PROCESSED, JOB_GONE,
)  # fmt: skip
#: A delete that finds nothing to delete has what it wanted.
_ALREADY_GONE = ("ENTITY_IS_DELETED", "INVALID_CROSS_REFERENCE_KEY")


def is_delete(rows: pl.DataFrame) -> bool:
    """Whether the rows of a chunk are deletes; no chunk mixes them with others."""
    return bool(rows["operation"][0] == Operation.DELETE)


def read_results(bulk: BulkIngest, job_id: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Read the three result files of a job that carried a chunk of ledger rows.

    Returns ``key`` (of a delete Salesforce's id, of an upsert ours), ``kind`` (one of :data:`KINDS`) and
    ``answer`` (id of the record, or the error).
    """
    name = "Id" if is_delete(rows) else bulk.external_id_field
    files = (
        bulk.results(job_id, "successfulResults", {name: "key", "sf__Id": "answer"}),
        bulk.results(job_id, "failedResults", {name: "key", "sf__Error": "answer"}),
        bulk.results(job_id, "unprocessedrecords", {name: "key"}).with_columns(
            answer=pl.lit(None, dtype=pl.String)
        ),
    )
    return pl.concat(
        file.select("key", "answer", kind=pl.lit(kind)) for kind, file in zip(KINDS, files, strict=True)
    )


def reconcile(rows: pl.DataFrame, found: pl.DataFrame, *, whole: bool) -> tuple[pl.DataFrame, str]:
    """Join results, see :func:`read_results`, to the rows that were sent.

    ``whole`` says that the job completed, so every row must have a result. A job that broke off need not list
    what it never read: such rows were not processed. Returns ``external_id``, ``kind``, ``answer``; and what is
    wrong, empty if every row has one result.
    """
    key = pl.col("remote_id") if is_delete(rows) else pl.col("external_id")
    sent = rows.select("external_id", key=key)
    joined = sent.join(found, on="key", how="left")
    strangers = found.join(sent, on="key", how="anti").height
    unanswered = int(joined["kind"].is_null().sum())
    repeated = joined.height - sent.height
    if not whole:
        joined, unanswered = joined.with_columns(pl.col("kind").fill_null(KINDS[2])), 0
    problem = (
        f"{sent.height} rows were sent and {found.height} results came back: {unanswered} rows have "
        f"none, {repeated} have several, {strangers} results are of no row"
    )
    return joined.select(
        "external_id", "kind", "answer"
    ), problem if strangers or unanswered or repeated else ""


def forgotten(rows: pl.DataFrame) -> pl.DataFrame:
    """Results of a job that Salesforce deleted: what became of its rows cannot be asked."""
    text = "Salesforce no longer knows the job (it forgets after seven days)"
    return rows.select("external_id", kind=pl.lit("gone"), answer=pl.lit(text))


def fates(
    rows: pl.DataFrame, results: pl.DataFrame, job_id: str, max_attempts: int, message: str | None = None
) -> pl.DataFrame:
    """Fate of every row of a chunk, as events for the ledger, by :func:`reconcile` or :func:`forgotten`.

    A row that failed ``max_attempts`` times is dead, whatever the reason. ``message`` is what the job says of
    itself, the reason of rows it did not process.
    """
    kind, code = pl.col("kind"), pl.col("code")
    ok = kind == KINDS[0]
    named = (
        pl.when(kind == KINDS[1])
        .then(pl.col("answer").str.extract(r"^([A-Z][A-Z_]+)").fill_null("UNKNOWN"))
        .when(kind == KINDS[2])
        .then(pl.lit(NOT_PROCESSED))
        .when(~ok)
        .then(pl.lit(JOB_GONE))
    )
    done = ok | ((pl.col("operation") == Operation.DELETE) & code.is_in(_ALREADY_GONE))
    again = code.is_in(PASSING) & (pl.col("attempt") < max_attempts)
    plan = rows.select(
        "external_id", "operation", "attempt", "chunk", "payload_hash", "base_hash", "remote_id"
    )
    return (
        plan.join(results, on="external_id", how="left")
        .with_columns(code=named)
        .with_columns(
            state=fate(done, again),
            remote_id=pl.when(ok).then("answer").otherwise("remote_id"),
            base_hash=pl.when(code == JOB_GONE).then(pl.lit(UNKNOWN_HASH)).otherwise("base_hash"),
            message=pl.when(kind == KINDS[2]).then(pl.lit(message)).when(~ok).then("answer"),
            job_id=pl.lit(job_id),
        )
        .drop("kind", "answer")
    )
