"""The simulated factory: repeatable, true to its contract, and missing for the reasons it tells."""

# ruff: noqa: DTZ001 - times in the lake are UTC without a zone

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import pytest

from pipelines.errors import ConfigError
from pipelines.lab.simulation.imputation import GenerateReport, generate
from pipelines.settings import Settings
from pipelines.sources.ingest import ingest

Made = tuple[Path, GenerateReport]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("factory") / "delivery"
    return folder, generate(1_200, 3, 3, 7, folder, dirty_share=0.001)


@pytest.fixture(scope="module")
def db(made: Made) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    for name, pattern in (
        ("parts", "parts.parquet"),
        ("m", "measurements/0*.parquet"),
        ("t", "truth/values.parquet"),
    ):
        connection.execute(f"create view {name} as select * from read_parquet('{made[0]}/{pattern}')")
    return connection


def test_the_same_arguments_give_the_same_bytes(made: Made, tmp_path: Path) -> None:
    generate(1_200, 3, 3, 7, tmp_path / "again", dirty_share=0.001)
    files = sorted(path.relative_to(made[0]) for path in made[0].rglob("*") if path.is_file())
    assert len(files) >= 7
    for file in files:
        assert (made[0] / file).read_bytes() == (tmp_path / "again" / file).read_bytes(), file


def test_landing_quarantines_what_was_planted_and_nothing_else(made: Made, tmp_path: Path) -> None:
    folder, report = made
    settings = Settings(var=tmp_path)
    landed = ingest(
        "imputation",
        folder,
        settings=settings,
        ingested_at=datetime(2026, 1, 5),
        quality_checks=False,
    )
    planted = sum(report.planted["measurements"].values())
    assert planted > 0
    assert [table.quarantined for table in landed.tables] == [0, 0, planted]
    assert [table.read for table in landed.tables] == list(report.rows.values())


def test_every_cell_is_measured_or_has_a_reason(made: Made, db: duckdb.DuckDBPyConnection) -> None:
    report = made[1]
    assert report.truth_rows == report.parts * report.sensors == sum(report.missing.values())
    assert min(report.missing.values()) > 0, "all five mechanisms occur"
    # What was measured is the truth; a wrong first version is followed by it.
    wrong = db.execute(
        "select count(*) from (select *, row_number() over (partition by part_id, sensor_id order by known_at desc) as n"
        " from m) m join t using (part_id, sensor_id) where n = 1 and status = 'measured'"
        " and (m.value is distinct from t.value or m.label is distinct from t.label)"
    ).fetchall()[0][0]
    late = db.execute(
        "select count(*) from t left join m using (part_id, sensor_id) where missing_because = 'none' and m.part_id is null"
    ).fetchall()[0][0]
    assert wrong == 0
    assert 0 < late < 0.02 * report.truth_rows, "only what was not known by the end is absent"


def test_limits_are_told_and_true(db: duckdb.DuckDBPyConnection) -> None:
    rows = db.execute(
        "select m.value, t.value from m join t using (part_id, sensor_id) where status = 'below_limit'"
    ).fetchall()
    assert rows
    assert all(truth < limit for limit, truth in rows)


def test_missing_cells_differ_as_their_mechanism_says(db: duckdb.DuckDBPyConnection) -> None:
    """At random: no relation with the value; own value: high values fail; sampling: by the first sensor."""

    def means(condition: str, sensor: str) -> tuple[float, float]:
        found = db.execute(
            f"select avg(value) filter (where {condition}), avg(value) filter (where not ({condition})) from t"
            f" where sensor_id = '{sensor}'"
        ).fetchall()[0]
        return float(found[0]), float(found[1])

    failed, worked = means("missing_because = 'own_value'", "polish.pressure")
    spread = db.execute("select stddev(value) from t where sensor_id = 'polish.pressure'").fetchall()[0][0]
    assert failed - worked > 0.5 * spread
    sampled = db.execute(
        "select avg(first.value) filter (where t.missing_because = 'sampling'), avg(first.value), stddev(first.value)"
        " from t join t first on first.part_id = t.part_id and first.sensor_id = 'deposit.temperature'"
        " where t.sensor_id = 'polish.temperature'"
    ).fetchall()[0]
    assert sampled[1] - sampled[0] > 0.3 * sampled[2]
    lost = db.execute(
        "select sensor_id, avg(value) filter (where missing_because = 'random'), avg(value), stddev(value),"
        " count(*) filter (where missing_because = 'random') from t where sensor_id like '%temperature'"
        " group by 1 having count(*) filter (where missing_because = 'random') > 10"
    ).fetchall()
    scores = [(here - mean) / (sd / np.sqrt(n)) for _, here, mean, sd, n in lost]
    assert max(map(abs, scores)) < 4


@pytest.mark.parametrize("bad", [{"parts": 5}, {"lines": 0}, {"dirty_share": 0.5}])
def test_arguments_out_of_range_are_named(tmp_path: Path, bad: dict[str, float]) -> None:
    arguments = {"parts": 100, "lines": 2, "stations": 2, "seed": 0, **bad}
    with pytest.raises(ConfigError, match=next(iter(bad))):
        generate(to=tmp_path / "x", **arguments)  # type: ignore[arg-type]
