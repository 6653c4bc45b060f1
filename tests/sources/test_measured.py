"""Measurements in layouts of their own land as parts, sensors and measurements."""

# ruff: noqa: DTZ001 - times in the lake are UTC without a zone

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import DataContractError
from pipelines.io.lake import Lake
from pipelines.settings import Settings
from pipelines.sources.ingest import IngestReport, ingest

Land = Callable[..., IngestReport]

WIDE = """part_id,produced_at,line,etch.depth,etch.tool,particles
p1,2025-01-01 08:00:00,A,1.5,T1,<0.5
p2,2025-01-01 09:00:00,B,,T2,3
p3,2025-01-01 10:00:00,A,2,,>80
p4,not a time,A,3,T1,1
"""
LONG = """part_id,time,line,station,sensor,value,unit
p1,2025-01-01 08:00:00,A,etch,depth,1.5,mm
p1,2025-01-01 09:00:00,A,etch,tool,T1,
p2,2025-01-02 08:00:00,B,etch,depth,<0.5,mm
p2,2025-01-02 08:00:00,B,etch,tool,,
"""
BOSCH = """Id,L0_S0_F0,L0_S1_F2,L3_S29_F3,Response
4,0.03,-0.034,,0
6,,,0.2,1
7,,,,0
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(var=tmp_path / "var")


@pytest.fixture
def land(settings: Settings) -> Land:
    def landed(folder: Path, source: str) -> IngestReport:
        at = datetime(2026, 1, 1)
        return ingest(
            "imputation", folder, settings=settings, ingested_at=at, source=source, quality_checks=False
        )

    return landed


def written(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def rows(settings: Settings, table: str) -> list[dict[str, Any]]:
    return Lake.of(settings).read(f"raw/imputation_{table}").to_pylist()


def cells(settings: Settings) -> dict[tuple[str, str], tuple[Any, ...]]:
    return {
        (row["part_id"], row["sensor_id"]): (row["value"], row["label"], row["status"])
        for row in rows(settings, "measurements")
    }


def test_wide_tables_become_cells(tmp_path: Path, land: Land, settings: Settings) -> None:
    report = land(written(tmp_path / "d", wide__csv=WIDE), "wide")
    assert cells(settings) == {
        ("p1", "etch.depth"): (1.5, None, "measured"),
        ("p1", "etch.tool"): (None, "T1", "measured"),
        ("p1", "particles"): (0.5, None, "below_limit"),
        ("p2", "etch.tool"): (None, "T2", "measured"),
        ("p2", "particles"): (3.0, None, "measured"),
        ("p3", "etch.depth"): (2.0, None, "measured"),
        ("p3", "particles"): (80.0, None, "above_limit"),
    }
    assert {row["sensor_id"]: (row["station"], row["kind"]) for row in rows(settings, "sensors")} == {
        "etch.depth": ("etch", "numeric"),
        "etch.tool": ("etch", "nominal"),
        "particles": ("all", "numeric"),
    }
    (adapted,) = report.adapted
    assert (adapted.read, adapted.landed, adapted.quarantined) == (4, 3, 1), "p4 has no time"


def test_described_sensors_are_taken_as_described(tmp_path: Path, land: Land, settings: Settings) -> None:
    sensors = "sensor_id,station,quantity,kind,scale,low\nparticles,count,particles,numeric,log,0\n"
    land(written(tmp_path / "d", wide__csv=WIDE, sensors__csv=sensors), "wide")
    (found,) = [row for row in rows(settings, "sensors") if row["sensor_id"] == "particles"]
    assert (found["station"], found["scale"], found["low"], found["high"]) == ("count", "log", 0.0, None)


def test_words_of_a_numeric_sensor_are_refused(tmp_path: Path, land: Land, settings: Settings) -> None:
    sensors = "sensor_id,station,quantity,kind\netch.tool,etch,tool,numeric\n"
    with pytest.raises(DataContractError, match=r"etch.tool: 2 cells, such as 'T1'"):
        land(written(tmp_path / "d", wide__csv=WIDE, sensors__csv=sensors), "wide")
    assert not Lake.of(settings).exists("raw/imputation_parts")


def test_long_tables_become_cells(tmp_path: Path, land: Land, settings: Settings) -> None:
    land(written(tmp_path / "d", measurements__csv=LONG), "long")
    assert cells(settings) == {
        ("p1", "etch.depth"): (1.5, None, "measured"),
        ("p1", "etch.tool"): (None, "T1", "measured"),
        ("p2", "etch.depth"): (0.5, None, "below_limit"),
    }
    made = {
        row["part_id"]: (row["line"], row["produced_at"], row["known_at"]) for row in rows(settings, "parts")
    }
    assert made["p1"] == ("A", datetime(2025, 1, 1, 8), datetime(2025, 1, 1, 9))
    assert {row["unit"] for row in rows(settings, "sensors")} == {"mm", None}


def test_a_part_on_two_lines_is_refused(tmp_path: Path, land: Land) -> None:
    with pytest.raises(DataContractError, match=r"a part must be on one line, got p1 with \['A', 'B'\]"):
        land(written(tmp_path / "d", measurements__csv=LONG.replace("p2", "p1")), "long")


def test_bosch_parts_have_routes(tmp_path: Path, land: Land, settings: Settings) -> None:
    land(written(tmp_path / "d", train_numeric__csv=BOSCH, train_date__csv="Id\n4\n"), "bosch")
    assert {row["part_id"]: row["line"] for row in rows(settings, "parts")} == {
        "part-4": "L0",
        "part-6": "L3",
        "part-7": "none",
    }
    assert cells(settings)["part-4", "L0_S1_F2"] == (-0.034, None, "measured")
    assert {row["station"] for row in rows(settings, "sensors")} == {"L0_S0", "L0_S1", "L3_S29"}


def test_secom_files_are_read_together(tmp_path: Path, land: Land, settings: Settings) -> None:
    data = "3030.93 NaN 2187.7\n3095.78 2465.14 NaN\n"
    labels = '-1 "19/07/2008 11:55:00"\n1 "19/07/2008 12:32:00"\n'
    land(written(tmp_path / "d", secom__data=data, secom_labels__data=labels), "secom")
    assert cells(settings) == {
        ("wafer-0001", "f000"): (3030.93, None, "measured"),
        ("wafer-0001", "f002"): (2187.7, None, "measured"),
        ("wafer-0002", "f000"): (3095.78, None, "measured"),
        ("wafer-0002", "f001"): (2465.14, None, "measured"),
    }
    assert [row["produced_at"].hour for row in rows(settings, "parts")] == [11, 12]


def test_secom_lines_must_have_one_length(tmp_path: Path, land: Land) -> None:
    files = {"secom__data": "1 2\n1\n", "secom_labels__data": '-1 "19/07/2008 11:55:00"\n' * 2}
    with pytest.raises(
        DataContractError, match=r"a line must have 2 fields and a label, got 1 and .* in line 2"
    ):
        land(written(tmp_path / "d", **files), "secom")


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("source", "folder", "parts", "missing"),
    # Cells of the measured columns that are empty in the source's own file.
    [
        ("cylinder_bands", "cylinder_bands", 540, 999),
        ("africa", "amelia", 120, 7),
        ("freetrade", "amelia", 171, 94),
    ],
)
def test_public_sets_land_whole(
    data_dir: Path, land: Land, settings: Settings, source: str, folder: str, parts: int, missing: int
) -> None:
    land(data_dir / folder, source)
    assert len(rows(settings, "parts")) == parts
    assert parts * len(rows(settings, "sensors")) - len(rows(settings, "measurements")) == missing


@pytest.mark.real_data
def test_the_first_job_of_cylinder_bands_is_read_as_it_stands(
    data_dir: Path, land: Land, settings: Settings
) -> None:
    land(data_dir / "cylinder_bands", "cylinder_bands")
    fields = (data_dir / "cylinder_bands" / "bands.data").read_text().splitlines()[0].split(",")
    found = cells(settings)
    assert found["job-0001", "ink.viscosity"] == (float(fields[21]), None, "measured")
    assert found["job-0001", "press.band_type"] == (None, fields[39], "measured")
    assert found["job-0001", "plating.chrome_content"][0] == float(fields[38])
