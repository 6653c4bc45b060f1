"""Only differences are sent, and too many leavers stop everything."""

from __future__ import annotations

import polars as pl
import pytest

from pipelines.errors import SinkError
from pipelines.sinks.diff import OnLeave, check_leavers, leavers, plan


def frame(hashes: dict[str, str], name: str) -> pl.DataFrame:
    return pl.DataFrame(
        {"external_id": list(hashes), name: list(hashes.values())},
        schema={"external_id": pl.String, name: pl.String},
    )


WANTED = frame({"same": "1", "changed": "2", "new": "3"}, "payload_hash")
BASE = frame({"same": "1", "changed": "1", "gone": "9"}, "hash").with_columns(
    remote_id=pl.lit("id-") + pl.col("external_id")
)
NONE = WANTED.clear()


def decided(planned: pl.DataFrame) -> dict[str, tuple[str, str, str | None]]:
    columns = ("external_id", "operation", "state", "code")
    return {name: (op, state, code) for name, op, state, code in planned.select(columns).iter_rows()}


@pytest.mark.parametrize(
    ("on_leave", "cleared", "gone"),
    [
        (OnLeave.DELETE, NONE, ("delete", "planned", None)),
        (OnLeave.KEEP, NONE, ("upsert", "skipped", "KEPT")),
        (OnLeave.CLEAR, frame({"gone": "0"}, "payload_hash"), ("clear", "planned", None)),
        (OnLeave.CLEAR, frame({"gone": "9"}, "payload_hash"), ("clear", "skipped", "UNCHANGED")),
    ],
)
def test_plan_decides_every_row_once(
    on_leave: OnLeave, cleared: pl.DataFrame, gone: tuple[str, str, str | None]
) -> None:
    planned = plan(WANTED, cleared, BASE, on_leave, resend=False)
    assert planned["external_id"].is_unique().all()
    assert decided(planned) == {
        "same": ("upsert", "skipped", "UNCHANGED"),
        "changed": ("upsert", "planned", None),
        "new": ("upsert", "planned", None),
        "gone": gone,
    }
    ids = dict(planned.select("external_id", "remote_id").iter_rows())
    assert ids == {"same": "id-same", "changed": "id-changed", "new": None, "gone": "id-gone"}


def test_resend_sends_what_is_unchanged_too() -> None:
    planned = plan(WANTED, NONE, BASE, OnLeave.KEEP, resend=True)
    assert decided(planned)["same"] == ("upsert", "planned", None)


def test_leavers_are_the_published_that_are_not_wanted() -> None:
    assert leavers(WANTED, BASE)["external_id"].to_list() == ["gone"]


def test_too_many_leavers_are_refused_unless_forced() -> None:
    gone = leavers(WANTED, BASE)
    with pytest.raises(SinkError, match=r"1 of 3 published records .* \(33%\); at most 20% .*\['gone'\]"):
        check_leavers(gone, BASE, max_share=0.2, force=False)
    check_leavers(gone, BASE, max_share=0.2, force=True)
    check_leavers(gone, BASE, max_share=1 / 3, force=False)
    check_leavers(gone.clear(), BASE.clear(), max_share=0.0, force=False)
