"""Adapter of UCI's Cylinder Bands (a rotogravure press) to the raw layouts of imputation.

``bands.data`` goes in: 540 jobs, 40 columns, no header, ``?`` where nothing was noted. The rules:

- A job is a part; its number is the place in the file, because the cylinder's number repeats. It was made
  and known at the end of the day that the file tells.
- The press is the line. Groups of columns are the stations: cylinder, paper, ink, press, plating.
- Spelling in upper and lower case is one word (``KeY`` and ``KEY``).
- The customer and the numbers of job and cylinder are names and not measurements; they are not read.
"""

# SQL is put together from declared names.

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from features.schemas import Column, DType, Table
from features.sql import quoted
from pipelines.errors import DataContractError
from pipelines.sources.adapter import Adapted, Adapter
from pipelines.sources.delivery import DeliveredFile
from pipelines.sources.layout import History, RawLayout
from pipelines.sources.staging import Staging
from pipelines.usecases.imputation.measured import Sensor, cells_query, write_measured

SOURCE_FILE, ADAPTED_FILE = "bands.data", "bands"


def _words(station: str, name: str) -> Sensor:
    return Sensor(f"{station}.{name}", station, name.replace("_", " "), kind="nominal")


def _number(
    station: str, name: str, unit: str | None = None, *, low: float | None = None, high: float | None = None
) -> Sensor:
    return Sensor(f"{station}.{name}", station, name.replace("_", " "), unit, low=low, high=high)


#: Columns of the file, in its order; None for those that are no measurements.
COLUMNS: dict[str, Sensor | None] = {
    "timestamp": None,
    "cylinder_number": None,
    "customer": None,
    "job_number": None,
    "grain_screened": _words("paper", "grain_screened"),
    "ink_color": _words("ink", "ink_color"),
    "proof_on_ctd_ink": _words("ink", "proof_on_ctd_ink"),
    "blade_mfg": _words("press", "blade_mfg"),
    "cylinder_division": _words("cylinder", "cylinder_division"),
    "paper_type": _words("paper", "paper_type"),
    "ink_type": _words("ink", "ink_type"),
    "direct_steam": _words("press", "direct_steam"),
    "solvent_type": _words("ink", "solvent_type"),
    "type_on_cylinder": _words("cylinder", "type_on_cylinder"),
    "press_type": _words("press", "press_type"),
    "press": None,
    "unit_number": _words("press", "unit_number"),
    "cylinder_size": _words("cylinder", "cylinder_size"),
    "paper_mill_location": _words("paper", "paper_mill_location"),
    "plating_tank": _words("plating", "plating_tank"),
    "proof_cut": _number("ink", "proof_cut", low=0.0),
    "viscosity": _number("ink", "viscosity", low=0.0),
    "caliper": _number("paper", "caliper", low=0.0),
    "ink_temperature": _number("ink", "ink_temperature", "deg C"),
    "humidity": _number("press", "humidity", "%", low=0.0),
    "roughness": _number("cylinder", "roughness", low=0.0),
    "blade_pressure": _number("press", "blade_pressure", low=0.0),
    "varnish_pct": _number("ink", "varnish_pct", "%", low=0.0, high=100.0),
    "press_speed": _number("press", "press_speed", low=0.0),
    "ink_pct": _number("ink", "ink_pct", "%", low=0.0, high=100.0),
    "solvent_pct": _number("ink", "solvent_pct", "%", low=0.0, high=100.0),
    "esa_voltage": _number("press", "esa_voltage", low=0.0),
    "esa_amperage": _number("press", "esa_amperage", low=0.0),
    "wax": _number("ink", "wax", low=0.0),
    "hardener": _number("plating", "hardener", low=0.0),
    "roller_durometer": _number("press", "roller_durometer", low=0.0),
    "current_density": _number("plating", "current_density", low=0.0),
    "anode_space_ratio": _number("plating", "anode_space_ratio", low=0.0),
    "chrome_content": _number("plating", "chrome_content", low=0.0),
    "band_type": _words("press", "band_type"),
}


def _column(name: str, sensor: Sensor | None) -> Column:
    numeric = sensor is not None and sensor.kind == "numeric"
    dtype = DType.NUMBER if numeric else DType.STRING
    return Column(
        name, dtype, "As in UCI's description of the columns.", nullable=name not in ("timestamp", "press")
    )


BANDS = RawLayout(
    Table(
        ADAPTED_FILE,
        "UCI's file bands.data with a header. One row per job.",
        (
            Column("part_id", DType.STRING, "Place in the file."),
            *(_column(name, sensor) for name, sensor in COLUMNS.items()),
        ),
        key=("part_id",),
    ),
    history=History.IMMUTABLE,
)

LAYOUTS = (BANDS,)


def translate(folder: Path, into: Path) -> None:
    """Write ``bands.data`` as a CSV file with a header and empty fields.

    Raises
    ------
    DataContractError
        The file is absent, or a line has another number of fields.
    """
    file = folder / SOURCE_FILE
    if not file.is_file():
        raise DataContractError(f"Cylinder Bands is the file {SOURCE_FILE} of UCI; {folder} must hold it")
    with file.open(newline="") as source, (into / f"{ADAPTED_FILE}.csv").open("w", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(["part_id", *COLUMNS])
        for number, row in enumerate(csv.reader(source), start=1):
            if not any(field.strip() for field in row):
                continue  # blank lines at the end of UCI's file
            if len(row) != len(COLUMNS):
                raise DataContractError(
                    f"{SOURCE_FILE}: a line must have {len(COLUMNS)} fields, got {len(row)} in line {number}"
                )
            fields = ("" if field.strip() == "?" else field.strip() for field in row)
            writer.writerow([f"job-{number:04d}", *fields])


def adapt(staging: Staging, files: Sequence[DeliveredFile], into: Path) -> Adapted:
    """Write the jobs as files in the raw layouts of imputation; see :class:`pipelines.sources.adapter.Adapter`."""
    con = staging.con
    staging.examine(files[0])
    outcome = staging.settle(files[0])
    shown = ", ".join(
        f"lower({quoted(name)}) as {quoted(name)}" if sensor.kind == "nominal" else quoted(name)
        for name, sensor in COLUMNS.items()
        if sensor is not None
    )
    con.execute(
        f"""
        create temp table bands as
        select part_id, 'press ' || press as line, null::varchar as unit_id,
            strptime("timestamp", '%Y%m%d') + interval 24 hour - interval 1 second as produced_at, {shown}
        from checked where not is_bad;
        create temp table parts as select part_id, line, unit_id, produced_at, produced_at as known_at from bands
        """
    )
    sensors = {name: sensor for name, sensor in COLUMNS.items() if sensor is not None}
    write_measured(
        con, into, parts="parts", cells=cells_query("bands", sensors), sensors=list(sensors.values())
    )
    cells = con.execute("select count(*) from cells").fetchall()[0][0]
    full = outcome.landed * len(sensors)
    return Adapted(
        (outcome,), (f"{full - cells} of {full} cells were not noted ({(full - cells) / full:.1%})",)
    )


ADAPTER = Adapter(LAYOUTS, adapt, translate=translate)
