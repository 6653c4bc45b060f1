"""The generator as a command: repeatable, block by block, honest about what it planted."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset
import pytest

from pipelines.errors import ConfigError
from pipelines.lab.simulation.churn import generate
from pipelines.lab.simulation.churn.dirt import DEFECTS
from pipelines.lab.simulation.dirt import CONFLICT
from pipelines.settings import Settings
from pipelines.sources.ingest import ingest
from pipelines.usecases.churn.layouts import LAYOUTS

TABLES = [layout.table.name for layout in LAYOUTS]
#: Half a year is enough where no rates are looked at.
HALF_YEAR = {"start": date(2025, 7, 7), "end": date(2026, 1, 5)}


def read(folder: Path) -> dict[str, pa.Table]:
    """All tables of a delivery, with the truth, in file order."""
    tables = {}
    for name in TABLES:
        path = folder / name if (folder / name).is_dir() else folder / f"{name}.parquet"
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        tables[name] = pa_dataset.dataset(files).to_table()
    tables["risk"] = pa_dataset.dataset(folder / "truth" / "churn_risk.parquet").to_table()
    return tables


def test_same_arguments_give_the_same_content(tmp_path: Path) -> None:
    for name, seed in (("first", 3), ("second", 3), ("other", 4)):
        generate(150, seed, tmp_path / name, **HALF_YEAR)
    first, second, other = (read(tmp_path / name) for name in ("first", "second", "other"))
    for name, rows in first.items():
        assert len(rows) > 0, name
        assert rows.equals(second[name]), name
        assert not rows.equals(other[name]), name


def test_blocks_do_not_depend_on_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.lab.simulation.churn.delivery.BLOCK_ACCOUNTS", 100)
    generate(100, 3, tmp_path / "one", dirty_share=0, **HALF_YEAR)
    report = generate(250, 3, tmp_path / "three", dirty_share=0, **HALF_YEAR)
    one, three = read(tmp_path / "one"), read(tmp_path / "three")
    assert report.rows == {name: len(three[name]) for name in TABLES}
    for name, rows in one.items():
        first_block = three[name].filter(pc.less(three[name]["account_id"], "AC-001000000"))
        assert first_block.equals(rows), name
        assert len(three[name]) > 2 * len(rows), name
    # The second block is other people, not the first under other numbers.
    names = three["accounts"]["account_name"].to_pylist()
    assert names[:50] != names[len(one["accounts"]) :][:50]


def test_quarantine_finds_exactly_what_was_planted(tmp_path: Path) -> None:
    report = generate(150, 3, tmp_path / "dirty", dirty_share=0.002, **HALF_YEAR)
    clean = generate(150, 3, tmp_path / "clean", dirty_share=0, **HALF_YEAR)
    assert json.loads((tmp_path / "dirty" / "truth" / "planted_dirt.json").read_text()) == report.planted
    assert {table: set(defects) for table, defects in report.planted.items()} == {
        table: {defect.name for defect in defects} for table, defects in DEFECTS.items()
    }
    assert clean.planted == {}

    ingested = ingest(
        "churn",
        tmp_path / "dirty",
        settings=Settings(var=tmp_path / "var"),
        ingested_at=datetime(2026, 1, 5),  # noqa: DTZ001 - UTC without a zone
    )
    for table in ingested.tables:
        planted = report.planted[table.table]
        assert sorted(table.rules.values()) == sorted(planted.values()), table
        assert table.quarantined == sum(planted.values())
        assert table.landed == clean.rows[table.table]
        assert table.rules.get("row must keep the content of its key", 0) == planted.get(CONFLICT, 0)


def test_clean_rows_are_the_same_with_and_without_dirt(tmp_path: Path) -> None:
    report = generate(150, 3, tmp_path / "dirty", dirty_share=0.002, **HALF_YEAR)
    generate(150, 3, tmp_path / "clean", dirty_share=0, **HALF_YEAR)
    dirty, clean = read(tmp_path / "dirty"), read(tmp_path / "clean")
    for layout in LAYOUTS:
        name = layout.table.name
        planted = sum(report.planted[name].values())
        assert planted > 0
        # One block: its bad rows come last.
        kept = dirty[name].slice(0, len(dirty[name]) - planted)
        assert kept.cast(clean[name].schema).equals(clean[name]), name
        # A key is used twice where that is the defect, and nowhere else.
        key = list(layout.table.key)
        bad = dirty[name].slice(len(kept)).select(key)
        clashes = bad.join(clean[name].select(key), keys=key, join_type="left semi")
        assert len(clashes) == report.planted[name].get(CONFLICT, 0), name


def test_any_weekday_may_begin_and_end(tmp_path: Path) -> None:
    start, end = date(2025, 8, 13), date(2025, 12, 20)
    generate(100, 5, tmp_path / "odd", start=start, end=end)
    tables = read(tmp_path / "odd")
    used = tables["usage_events"].filter(pc.greater(tables["usage_events"]["duration_min"], 0))
    used = used.filter(pc.greater_equal(used["used_on"], start))
    assert pc.min(used["used_on"]).as_py() == start
    assert pc.max(used["used_on"]).as_py() == date(2025, 12, 18)  # known the next morning
    assert pc.max(tables["risk"]["as_of"]).as_py() == date(2025, 12, 15)


def test_progress_runs_from_nothing_to_all(tmp_path: Path) -> None:
    heard: list[tuple[str, float]] = []
    generate(
        50, 1, tmp_path / "x", progress=lambda message, share: heard.append((message, share)), **HALF_YEAR
    )
    shares = [share for _, share in heard]
    assert shares[0] == 0.0
    assert shares == sorted(shares)
    assert heard[-1] == ("done", 1.0)
    assert len(shares) > 4


def test_an_earlier_delivery_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    to = tmp_path / "delivery"
    generate(50, 1, to, **HALF_YEAR)
    before = read(to)
    generate(50, 2, to, **HALF_YEAR)
    assert not read(to)["accounts"].equals(before["accounts"])
    assert [path.name for path in tmp_path.iterdir()] == ["delivery"]

    mine = tmp_path / "thesis"
    mine.mkdir()
    (mine / "chapter_1.txt").write_text("dear reader")
    with pytest.raises(ConfigError, match="thesis is not empty and holds no earlier delivery"):
        generate(50, 1, mine, **HALF_YEAR)
    assert (mine / "chapter_1.txt").read_text() == "dear reader"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"accounts": 0}, "--accounts must be at least 1, got 0"),
        ({"seed": -1}, "--seed must not be negative, got -1"),
        ({"dirty_share": 0.5}, r"dirty_share must be in \[0, 0.1\], got 0.5"),
        (
            {"end": date(2023, 2, 1)},
            "end must be at least 60 days after start, got 2023-01-02 and 2023-02-01",
        ),
    ],
)
def test_arguments_are_checked(tmp_path: Path, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        generate(**{"accounts": 10, "seed": 1, "to": tmp_path / "x"} | arguments)  # type: ignore[arg-type]
    assert not (tmp_path / "x").exists()
