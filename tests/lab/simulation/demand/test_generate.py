"""The generator as a command: repeatable, as large as asked for, honest about what it planted."""

# ruff: noqa: DTZ001 - times in the lake are UTC without a zone

from __future__ import annotations

import hashlib
import json
from datetime import date, datetime
from pathlib import Path

import duckdb
import pytest

from pipelines.errors import ConfigError
from pipelines.io.lake import Lake
from pipelines.lab.simulation.demand import generate
from pipelines.lab.simulation.demand.dirt import AFTER_CLOSURE, DEFECTS, REPEATED
from pipelines.lab.simulation.dirt import CONFLICT
from pipelines.settings import Settings
from pipelines.sources.ingest import ingest
from pipelines.usecases.demand.layouts import LAYOUTS

#: A year is enough where no effects are looked at.
YEAR = {"start": date(2025, 1, 6), "end": date(2026, 1, 5)}


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.name != "parameters.json"
    }


def test_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("first", 3), ("second", 3), ("other", 4)):
        generate(4, 30, 8_000, seed, tmp_path / name, **YEAR)
    first, second, other = (digests(tmp_path / name) for name in ("first", "second", "other"))
    assert len(first) == 28
    assert first == second
    assert first.keys() == other.keys()
    same = [name for name in first if first[name] == other[name]]
    assert same == ["truth/planted_dirt.json"]  # as many of each kind


@pytest.mark.parametrize(
    ("stores", "skus", "rows"), [(3, 20, 6_000), (6, 60, 30_000), (16, 300, 60_000), (5, 60, 75_000)]
)
def test_as_many_rows_as_asked_for(tmp_path: Path, stores: int, skus: int, rows: int) -> None:
    report = generate(stores, skus, rows, 2, tmp_path / "out", dirty_share=0, **YEAR)
    assert report.rows["sales"] == pytest.approx(rows, rel=0.05)


def test_the_chain_has_the_wanted_size_on_the_last_day(tmp_path: Path) -> None:
    generate(6, 80, 30_000, 1, tmp_path / "out", dirty_share=0, **YEAR)
    found = duckdb.sql(
        f"""
        select
            (select count(distinct store_id) - count(distinct store_id) filter (closed_on is not null)
                from read_parquet('{tmp_path}/out/stores.parquet')),
            (select count(distinct sku_id) - count(distinct sku_id) filter (delisted_on < date '2026-01-05')
                from read_parquet('{tmp_path}/out/products.parquet')),
            (select count(distinct category) from read_parquet('{tmp_path}/out/products.parquet'))
        """
    ).fetchall()[0]
    assert found == (6, 80, 20)


def test_every_planted_row_is_found_and_no_other(tmp_path: Path) -> None:
    made = generate(6, 60, 20_000, 3, tmp_path / "files", dirty_share=0.004, **YEAR)
    settings = Settings(var=tmp_path / "var")
    report = ingest(
        "demand", tmp_path / "files", settings=settings, ingested_at=datetime(2026, 1, 5, 3), quality_checks=False
    )  # fmt: skip
    assert json.loads((tmp_path / "files" / "truth" / "planted_dirt.json").read_text()) == made.planted
    for table in report.tables:
        assert table.read == made.rows[table.table]
        planted = made.planted.get(table.table, {})
        wanted = {defect.name for defect in DEFECTS.get(table.table, ())}
        assert planted.keys() - {REPEATED, AFTER_CLOSURE} == wanted
        assert table.duplicates == planted.get(REPEATED, 0)
        assert table.quarantined == sum(planted.values()) - table.duplicates
        # Each defect breaks one rule.
        assert sum(table.rules.values()) == table.quarantined
        assert len(table.rules) == len(planted) - (REPEATED in planted)
    sales = next(table for table in report.tables if table.table == "sales")
    assert (
        sales.rules["sold_on must not be after stores.closed_on"] == made.planted["sales"][AFTER_CLOSURE] > 0
    )
    assert sales.rules["row must keep the content of its key"] == made.planted["sales"][CONFLICT] > 0
    # The truth stays aside.
    landed = {name for name in Lake.of(settings).tables() if name.startswith("raw/")}
    assert landed == {f"raw/demand_{layout.table.name}" for layout in LAYOUTS}


def test_days_that_are_reported_after_the_end_are_not_delivered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.lab.simulation.demand.tills._LATE", 0.5)
    generate(6, 40, 20_000, 1, tmp_path / "out", dirty_share=0, **YEAR)
    sales = duckdb.read_parquet(f"{tmp_path}/out/sales/*.parquet")
    newest, reported, before = sales.aggregate(
        "max(known_at) < '2026-01-05', count(distinct store_id) filter (sold_on = '2026-01-03'),"
        " count(distinct store_id) filter (sold_on = '2025-12-20')"
    ).fetchall()[0]
    assert newest
    assert 0 < reported < before


def test_an_earlier_delivery_is_replaced_and_anything_else_is_not(tmp_path: Path) -> None:
    small = (2, 20, 2_000)
    generate(*small, 1, tmp_path / "out", **YEAR)
    (tmp_path / "out" / "left_over.parquet").touch()
    generate(*small, 2, tmp_path / "out", **YEAR)
    assert not (tmp_path / "out" / "left_over.parquet").exists()
    assert json.loads((tmp_path / "out" / "truth" / "parameters.json").read_text())["seed"] == 2
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(ConfigError, match="mine is not empty and holds no earlier delivery"):
        generate(*small, 1, tmp_path / "mine", **YEAR)
    assert (tmp_path / "mine" / "thesis.txt").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"stores": 1}, "--stores must be at least 2, got 1"),
        ({"skus": 9}, "--skus must be at least 10, got 9"),
        ({"seed": -1}, "--seed must be at least 0, got -1"),
        ({"dirty_share": 0.5}, r"dirty_share must be in \[0, 0.1\], got 0.5"),
        ({"end": date(2025, 12, 1)}, "end must be at least 52 weeks after start"),
        ({"rows": 90_000_000}, r"--rows must be at most about \d[\d,]+ for \d stores and \d+ products, got 90,000,000"),
        ({"rows": 10}, r"--rows must be at least about \d[\d,]+ for \d stores, got 10"),
    ],
)  # fmt: skip
def test_arguments_out_of_range_are_refused(tmp_path: Path, change: dict[str, object], words: str) -> None:
    arguments = {"stores": 4, "skus": 30, "rows": 8_000, "seed": 1, **YEAR, **change}
    with pytest.raises(ConfigError, match=words):
        generate(to=tmp_path / "out", **arguments)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()
