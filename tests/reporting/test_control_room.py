from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from features.schemas import Column, DType, Table
from pipelines.discovery import find
from pipelines.io.lake import Lake
from pipelines.monitoring.alarms import Alarm
from pipelines.monitoring.completeness import HandOver, Lost
from pipelines.monitoring.schemas import Severity
from pipelines.reporting import control_room
from pipelines.reporting.control_room import Freshness, Overview
from pipelines.reporting.page import Watched
from pipelines.reporting.site import INDEX, Site
from pipelines.settings import Settings
from pipelines.steps import report

AS_OF = date(2025, 6, 2)
DAILY = Table(
    "raw/daily",
    "Days.",
    (Column("as_of", DType.DATE, "Day."), Column("n", DType.INTEGER, "N.")),
    ("as_of",),
    ("as_of",),
)
STAMPED = Table("raw/stamped", "Moments.", (Column("known_at", DType.TIMESTAMP, "Known."),), ("known_at",))


def days(lake: Lake, *back: int) -> None:
    rows = [{"as_of": AS_OF - timedelta(n), "n": n} for n in back]
    lake.append(DAILY, pa.Table.from_pylist(rows, schema=DAILY.arrow_schema))


@pytest.mark.parametrize(
    ("back", "state", "newest"),
    [((7, 9), "fresh", 7), ((8, 20), "late", 8), ((-3, 2), "fresh", 2), ((-3,), "late", None)],
)
def test_freshness_from_partitions(
    tmp_path: Path, back: tuple[int, ...], state: str, newest: int | None
) -> None:
    """Days after the day of the page do not count: a page of a past day looks as it did then."""
    lake = Lake(tmp_path)
    days(lake, *back)
    [found] = control_room.freshness(lake, "x", [Watched("raw/daily", "Daily", "as_of", 7)], AS_OF)
    assert found.state == state
    assert found.newest == (None if newest is None else AS_OF - timedelta(newest))
    assert found.rows == len(back)
    assert found.written_at is not None


def test_freshness_from_timestamps_and_of_a_missing_table(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    moment = pa.array([1_748_649_600_000_000], pa.timestamp("us"))  # 2025-05-31 00:00
    lake.append(STAMPED, pa.table({"known_at": moment}, schema=STAMPED.arrow_schema))
    watched = [
        Watched("raw/stamped", "Stamped", "known_at", 2),
        Watched("raw/none", "None", "as_of", 2),
    ]
    stamped, none = control_room.freshness(lake, "x", watched, AS_OF)
    assert (stamped.state, stamped.newest) == ("fresh", date(2025, 5, 31))
    assert (none.state, none.newest, none.version) == ("missing", None, None)


def test_a_table_of_all_use_cases_is_as_fresh_as_the_rows_of_one(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    shared = Table(
        "raw/shared", "S.", (DAILY.columns[0], Column("usecase", DType.STRING, "U.")), ("as_of",), ()
    )
    rows = [
        {"as_of": AS_OF - timedelta(1), "usecase": "churn"},
        {"as_of": AS_OF - timedelta(9), "usecase": "demand"},
    ]
    lake.append(shared, pa.Table.from_pylist(rows, schema=shared.arrow_schema))
    watched = [
        Watched("raw/shared", "Shared", "as_of", 7, where={"usecase": usecase})
        for usecase in ("churn", "demand", "x")
    ]
    churn, demand, other = control_room.freshness(lake, "x", watched, AS_OF)
    assert (churn.state, churn.rows) == ("fresh", 1)
    assert (demand.state, demand.newest) == ("late", AS_OF - timedelta(9))
    assert (other.state, other.newest, other.rows) == ("late", None, 0)


def test_the_index_is_about_the_use_cases_that_run(settings: Settings, tmp_path: Path) -> None:
    """The lake of the fixture has churn only: demand is shown when its own report asks for it."""
    lake = Lake.of(settings)
    site = Site(tmp_path)
    index = report.write_index(site, settings, lake, AS_OF, shown="churn").read_text(encoding="utf-8")
    assert 'aria-label="Churn"' in index
    assert 'aria-label="Demand"' not in index
    index = report.write_index(site, settings, lake, AS_OF, shown="demand").read_text(encoding="utf-8")
    assert 'aria-label="Churn"' in index
    assert 'aria-label="Demand"' in index
    assert "millrace train demand" in index


def test_a_backfill_does_not_turn_the_index_back(settings: Settings, tmp_path: Path) -> None:
    lake, site = Lake.of(settings), Site(tmp_path)
    today = report.write_index(site, settings, lake, AS_OF, shown="churn").read_text(encoding="utf-8")
    before = AS_OF - timedelta(30)
    backfill = report.write_index(site, settings, lake, before, shown="churn").read_text(encoding="utf-8")
    assert backfill == today


def test_publish_runs_in_their_present_state(settings: Settings) -> None:
    targets = find("churn").targets
    [run] = control_room.newest_runs(Lake.of(settings), targets, AS_OF)
    assert run["balanced"] is True
    assert run["state"] == "finished"
    assert control_room.newest_runs(Lake.of(settings), targets, AS_OF - timedelta(1)) == []
    assert control_room.newest_runs(Lake.of(settings), find("demand").targets, AS_OF) == []


def test_quarantine_counts_by_rule(settings: Settings) -> None:
    assert control_room.quarantine(Lake.of(settings), "churn") == [
        {"usecase": "churn", "table": "invoices", "rules": ["amount_eur >= 0"], "rows": 3}
    ]


def test_steps_show_their_newest_run_and_why_it_failed(settings: Settings) -> None:
    steps = control_room.step_runs(Lake.of(settings), AS_OF)
    assert [(s["step"], s["outcome"], s["words"]) for s in steps] == [
        ("prepare", "ok", ""),
        ("score", "ok", ""),
        ("publish", "failed", "SinkError: no"),
    ]


def build(settings: Settings, root: Path, **changes: Any) -> str:
    given = {"tables": changes.pop("tables", []), "hand_overs": changes.pop("handed_over", [])}
    overview = Overview(INDEX, None, None, [], publishes=True, quarantined=[], **given)
    parts = [replace(overview, **shown) for shown in changes.pop("use_cases", [{}])]
    page = control_room.build(Site(root), settings, AS_OF, parts, **({"steps": []} | changes))
    return page.read_text(encoding="utf-8")


def test_all_quiet_is_said_only_when_it_is(settings: Settings, tmp_path: Path) -> None:
    quiet = "All quiet"
    page = INDEX
    unbalanced = {
        **control_room.newest_runs(Lake.of(settings), find("churn").targets, AS_OF)[0],
        "balanced": False,
    }
    alarm = Alarm("churn", AS_OF, "auc_pr", Severity.CRITICAL, 0.5, 0.6, "all", "AUC-PR 0.5", "m", "f")
    step = {**control_room.step_runs(Lake.of(settings), AS_OF)[0], "outcome": "failed"}
    late = Freshness(Watched("raw/x", "X", "as_of", 7), None, "late", "c")
    lost = HandOver("churn", "score", "publish", 2, (Lost(AS_OF, ""),))
    refused = HandOver("churn", "score", "publish", 2, (Lost(AS_OF, "SinkError: older"),))
    assert quiet in build(settings, tmp_path)
    assert quiet in build(settings, tmp_path, handed_over=[refused]), "the failed step tells of it"
    for changes in (
        {"handed_over": [lost]},
        {"use_cases": [{"page": page, "publish": unbalanced}]},
        {"use_cases": [{"page": page, "alarms": [alarm]}]},
        {"steps": [step]},
        {"tables": [late]},
        {"broken": [("Churn", "no such column")]},
    ):
        assert quiet not in build(settings, tmp_path, **changes), changes


def test_a_lost_day_is_on_the_page(settings: Settings, tmp_path: Path) -> None:
    """The lake of the fixture has scores whose publication failed: the reason stands beside the day."""
    page = report.write_index(Site(tmp_path), settings, Lake.of(settings), AS_OF, shown="churn")
    text = page.read_text(encoding="utf-8")
    assert "churn: score to publish" in text
    assert "SinkError: no" in text
    lost = HandOver("churn", "score", "publish", 2, (Lost(AS_OF, ""),))
    text = build(settings, tmp_path, handed_over=[lost])
    assert "Landed days were lost" in text
    assert "nothing tried" in text


def test_docs_are_linked_once_they_are_built(settings: Settings, tmp_path: Path) -> None:
    assert "Not built yet" in build(settings, tmp_path)
    for folder in ("dbt_docs", "data_docs"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "index.html").touch()
    text = build(settings, tmp_path)
    assert "Not built yet" not in text
    assert 'href="dbt_docs/index.html"' in text
    assert 'href="data_docs/index.html"' in text
