"""Adapter of the layout of Bosch's Production Line Performance (Kaggle) to the raw layouts of imputation.

``train_numeric`` (CSV, also compressed, or Parquet) goes in: ``Id``, columns ``L<line>_S<station>_F<feature>``
and ``Response``; the competition's other files may lie beside it and are not read. The rules:

- A part's line is its route: the lines that measured anything of it, such as ``L0-L3``. A part that no line
  measured is on the route ``none``.
- The source tells no time of day in this file; parts are numbered as they were made, so that a minute per
  number after 2000-01-01 stands for the unknown moment.
- ``Response`` is the outcome of the final inspection and no measurement; it is not read.
"""

# SQL is put together from quoted names.

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from features.schemas import Column, DType, Table
from features.sql import literal
from pipelines.errors import DataContractError
from pipelines.sources.adapter import Adapted, Adapter
from pipelines.sources.delivery import DeliveredFile
from pipelines.sources.layout import History, RawLayout
from pipelines.sources.staging import Staging
from pipelines.usecases.imputation.measured import Sensor, cells_query, write_measured

_SENSOR = re.compile(r"(L\d+)_(S\d+)_(F\d+)")

TRAIN_NUMERIC = RawLayout(
    Table(
        "train_numeric",
        "Bosch's file train_numeric, the column that every row has. One row per part.",
        (Column("Id", DType.INTEGER, "Part.", minimum=0),),
        key=("Id",),
    ),
    history=History.IMMUTABLE,
)

LAYOUTS = (TRAIN_NUMERIC,)
#: Files of the competition that are not read.
IGNORED = (
    "test_numeric", "test_categorical", "test_date", "train_categorical", "train_date", "sample_submission",
)  # fmt: skip


def adapt(staging: Staging, files: Sequence[DeliveredFile], into: Path) -> Adapted:
    """Write the parts as files in the raw layouts of imputation; see :class:`pipelines.sources.adapter.Adapter`.

    Raises
    ------
    DataContractError
        No column is called as the layout says, or a cell is no number.
    """
    con, file = staging.con, files[0]
    staging.examine(file)
    outcome = staging.settle(file)
    sensors = {}
    for name in file.header:
        found = _SENSOR.fullmatch(name)
        if found:
            line, station, feature = found.groups()
            sensors[name] = Sensor(name, f"{line}_{station}", f"{feature} of {station} on {line}")
    if not sensors:
        raise DataContractError(
            f"{file.name}: must have columns such as L0_S0_F0, found {list(file.header[:5])}"
        )
    path = literal(str(file.path))
    reader = (
        f"read_csv({path}, header = true, all_varchar = true)" if file.is_csv else f"read_parquet({path})"
    )
    con.execute(
        f"create temp view bosch as select *, 'part-' || Id as part_id from {reader}"
        " where try_cast(Id as bigint) in (select Id from checked where not is_bad)"
    )
    con.execute(
        f"""
        create temp table routes as
        select part_id, string_agg(distinct split_part(sensor_id, '_', 1), '-'
            order by split_part(sensor_id, '_', 1)) as line
        from ({cells_query("bosch", sensors)}) group by part_id;
        create temp table parts as
        select 'part-' || Id as part_id, coalesce(line, 'none') as line, null::varchar as unit_id,
            timestamp '2000-01-01' + to_minutes(Id) as produced_at, produced_at as known_at
        from checked left join routes on routes.part_id = 'part-' || Id where not is_bad
        """
    )
    write_measured(
        con, into, parts="parts", cells=cells_query("bosch", sensors), sensors=list(sensors.values())
    )
    routes = con.execute("select count(distinct line) from parts").fetchall()[0][0]
    return Adapted((outcome,), (f"{len(sensors)} sensors, {routes} routes",))


ADAPTER = Adapter(LAYOUTS, adapt, ignored=IGNORED)
