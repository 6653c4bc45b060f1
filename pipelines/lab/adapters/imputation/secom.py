"""Adapter of UCI's SECOM (semiconductor manufacturing) to the raw layouts of imputation.

``secom.data`` (590 columns between blanks, ``NaN`` where nothing was measured, no header) and
``secom_labels.data`` (outcome and time of each row) go in. The rules:

- A row is a part, called by its place in the file, made and known at the time of its label.
- The source tells neither lines nor stations: all parts are on the line ``fab``, all sensors at the station
  ``all``.
- The outcome of the test (-1 or 1) is no measurement; it is not read.
"""

# SQL is put together from quoted names.

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import datetime
from itertools import zip_longest
from pathlib import Path

from features.schemas import Column, DType, Table
from features.sql import literal
from pipelines.errors import DataContractError
from pipelines.sources.adapter import Adapted, Adapter
from pipelines.sources.delivery import DeliveredFile
from pipelines.sources.layout import History, RawLayout
from pipelines.sources.staging import Staging
from pipelines.usecases.imputation.measured import Sensor, cells_query, write_measured

DATA, LABELS = "secom.data", "secom_labels.data"

SECOM = RawLayout(
    Table(
        "secom",
        "SECOM's two files as one with a header: the columns that every row has. One row per part.",
        (
            Column("part_id", DType.STRING, "Place in the file."),
            Column("produced_at", DType.TIMESTAMP, "Time of the label (UTC).", unit="UTC"),
        ),
        key=("part_id",),
    ),
    history=History.IMMUTABLE,
)

LAYOUTS = (SECOM,)


def translate(folder: Path, into: Path) -> None:
    """Write the two files as one CSV file with a header and empty fields.

    Raises
    ------
    DataContractError
        A file is absent, or a line has another number of fields than the first.
    """
    missing = [name for name in (DATA, LABELS) if not (folder / name).is_file()]
    if missing:
        raise DataContractError(f"SECOM is the files {DATA} and {LABELS} of UCI; {folder} lacks {missing}")
    with (
        (folder / DATA).open() as measured,
        (folder / LABELS).open() as labelled,
        (into / "secom.csv").open("w", newline="") as target,
    ):
        writer, width = csv.writer(target), 0
        for number, (row, label) in enumerate(zip_longest(measured, labelled, fillvalue=""), start=1):
            fields = row.split()
            if number == 1:
                width = len(fields)
                writer.writerow(["part_id", "produced_at", *(f"f{i:03d}" for i in range(width))])
            if len(fields) != width or not label.strip():
                raise DataContractError(
                    f"{DATA}: a line must have {width} fields and a label, got {len(fields)} and {label.strip()!r} in "
                    f"line {number}"
                )
            cells = ("" if field.lower() == "nan" else field for field in fields)
            writer.writerow([f"wafer-{number:04d}", _moment(label, number), *cells])


def _moment(label: str, number: int) -> str:
    try:
        text = label.split(maxsplit=1)[1].strip().strip('"')
        return str(datetime.strptime(text, "%d/%m/%Y %H:%M:%S"))  # noqa: DTZ007 - the source tells no zone
    except (IndexError, ValueError):
        raise DataContractError(
            f'{LABELS}: a line must be like -1 "19/07/2008 11:55:00", got {label.strip()!r} in line {number}'
        ) from None


def adapt(staging: Staging, files: Sequence[DeliveredFile], into: Path) -> Adapted:
    """Write the parts as files in the raw layouts of imputation; see :class:`pipelines.sources.adapter.Adapter`."""
    con, file = staging.con, files[0]
    staging.examine(file)
    outcome = staging.settle(file)
    names = [name for name in file.header if name not in SECOM.table.column_names]
    sensors = {name: Sensor(name, "all", f"signal {int(name[1:])}") for name in names}
    con.execute(
        "create temp view signals as select * from"
        f" read_csv({literal(str(file.path))}, header = true, all_varchar = true)"
        " where part_id in (select part_id from checked where not is_bad)"
    )
    con.execute(
        "create temp table parts as select part_id, 'fab' as line, null::varchar as unit_id, produced_at,"
        " produced_at as known_at from checked where not is_bad"
    )
    write_measured(
        con, into, parts="parts", cells=cells_query("signals", sensors), sensors=list(sensors.values())
    )
    return Adapted((outcome,), (f"{len(sensors)} signals",))


ADAPTER = Adapter(LAYOUTS, adapt, translate=translate)
