"""Results of a job become fates of rows; nothing is guessed."""

from __future__ import annotations

import polars as pl
import pytest

from pipelines.sinks.ledger_tables import JOB_GONE, NOT_PROCESSED, UNKNOWN_HASH
from pipelines.sinks.salesforce.results import PASSING, fates, forgotten, reconcile


def chunk(*names: str, operation: str = "upsert", attempt: int = 1) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "external_id": list(names),
            "operation": operation,
            "attempt": attempt,
            "chunk": 0,
            "payload_hash": "new",
            "base_hash": "old",
            "remote_id": [f"id-{name}" for name in names],
        }
    )


def results(**kinds: tuple[str, str | None]) -> pl.DataFrame:
    rows = [{"external_id": name, "kind": kind, "answer": answer} for name, (kind, answer) in kinds.items()]
    return pl.DataFrame(rows, schema={"external_id": pl.String, "kind": pl.String, "answer": pl.String})


def found(*rows: tuple[str, str]) -> pl.DataFrame:
    return pl.DataFrame(
        [(key, "x", kind) for key, kind in rows], schema=["key", "answer", "kind"], orient="row"
    )


@pytest.mark.parametrize("code", [code for code in PASSING if code not in (NOT_PROCESSED, JOB_GONE)])
def test_passing_errors_are_tried_again_until_the_last_attempt(code: str) -> None:
    answer = results(a=("failed", f"{code}:some words: with colons:--"))
    for attempt, state in ((1, "failed"), (4, "failed"), (5, "dead")):
        fate = fates(chunk("a", attempt=attempt), answer, "j", 5).row(0, named=True)
        assert (fate["state"], fate["code"], fate["job_id"]) == (state, code, "j")
        assert fate["message"] == f"{code}:some words: with colons:--"


def test_other_errors_are_dead_at_once() -> None:
    answer = results(a=("failed", "STRING_TOO_LONG:Sector__c: too long:--"), b=("failed", "no code at all"))
    fate = fates(chunk("a", "b"), answer, "j", 5).sort("external_id")
    assert fate.select("state", "code").rows() == [("dead", "STRING_TOO_LONG"), ("dead", "UNKNOWN")]
    assert fate["base_hash"].to_list() == ["old", "old"]


def test_accepted_rows_take_the_id_that_salesforce_gave() -> None:
    fate = fates(chunk("a"), results(a=("ok", "a00NEW")), "j", 5).row(0, named=True)
    assert (fate["state"], fate["remote_id"], fate["code"], fate["message"]) == ("ok", "a00NEW", None, None)


def test_rows_a_job_did_not_reach_carry_its_reason() -> None:
    fate = fates(chunk("a"), results(a=("unprocessed", None)), "j", 5, "InvalidBatch : no such field")
    assert fate.select("state", "code", "message").row(0) == (
        "failed",
        NOT_PROCESSED,
        "InvalidBatch : no such field",
    )


@pytest.mark.parametrize("code", ["ENTITY_IS_DELETED", "INVALID_CROSS_REFERENCE_KEY"])
def test_deleting_what_is_gone_is_done(code: str) -> None:
    answer = results(a=("failed", f"{code}:entity is deleted:--"))
    assert fates(chunk("a", operation="delete"), answer, "j", 5)["state"].to_list() == ["ok"]
    assert fates(chunk("a"), answer, "j", 5)["state"].to_list() == ["dead"]


def test_rows_of_a_forgotten_job_are_in_doubt() -> None:
    rows = chunk("a")
    fate = fates(rows, forgotten(rows), "j", 5).row(0, named=True)
    assert (fate["state"], fate["code"], fate["base_hash"]) == ("failed", JOB_GONE, UNKNOWN_HASH)


def test_results_must_name_every_row_once() -> None:
    rows = chunk("a", "b")
    whole = found(("b", "ok"), ("a", "failed"))
    joined, problem = reconcile(rows, whole, whole=True)
    assert (problem, dict(joined.select("external_id", "kind").iter_rows())) == (
        "",
        {"a": "failed", "b": "ok"},
    )
    for wrong, words in (
        (whole.head(1), "1 rows have none, 0 have several, 0 results are of no row"),
        (pl.concat([whole, whole.head(1)]), "0 rows have none, 1 have several"),
        (pl.concat([whole, found(("z", "ok"))]), "0 have several, 1 results are of no row"),
    ):
        assert words in reconcile(rows, wrong, whole=True)[1]


def test_a_broken_job_need_not_name_what_it_never_read() -> None:
    joined, problem = reconcile(chunk("a", "b"), found(("a", "ok")), whole=False)
    assert problem == ""
    assert dict(joined.select("external_id", "kind").iter_rows()) == {"a": "ok", "b": "unprocessed"}
    assert reconcile(chunk("a"), found(("a", "ok"), ("z", "ok")), whole=False)[1] != ""


def test_deletes_are_joined_on_the_id_of_salesforce() -> None:
    joined, problem = reconcile(chunk("a", operation="delete"), found(("id-a", "ok")), whole=True)
    assert (problem, joined["external_id"].to_list()) == ("", ["a"])
