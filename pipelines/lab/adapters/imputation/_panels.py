"""What the reference panels of Amelia II, `africa` and `freetrade`, have in common, as layouts of imputation.

A part is a country in a year; the country is the unit of the panel and the line. A year is known when it
ends. Economic sizes are about normal on a logarithmic scale; shares have bounds; `polity` and `signed` are
codes. What the files lack is not invented.
"""

# SQL is put together from declared names.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from features.schemas import Column, DType, Table
from pipelines.sources.adapter import Adapted, Adapter
from pipelines.sources.delivery import DeliveredFile
from pipelines.sources.layout import History, RawLayout
from pipelines.sources.staging import Staging
from pipelines.usecases.imputation.measured import Sensor, cells_query, write_measured


def sensor(
    name: str,
    words: str,
    scale: str = "identity",
    kind: str = "numeric",
    *,
    low: float | None = None,
    high: float | None = None,
) -> Sensor:
    """Column of a panel that holds a quantity of the country."""
    return Sensor(name, "country", words, kind=kind, scale=scale, low=low, high=high)


def _layout(name: str, sensors: Mapping[str, Sensor]) -> RawLayout:
    return RawLayout(
        Table(
            name,
            f"Amelia's panel {name}. One row per country and year.",
            (
                Column("year", DType.INTEGER, "Year."),
                Column("country", DType.STRING, "Country."),
                *(
                    Column(c, DType.NUMBER, f"{s.quantity}; null if unknown.", nullable=True)
                    for c, s in sensors.items()
                ),
            ),
            key=("country", "year"),
        ),
        history=History.IMMUTABLE,
    )


def panel(name: str, sensors: Mapping[str, Sensor], *, ignored: Sequence[str]) -> Adapter:
    """Adapter of the panel in the file ``name``; files of the other panel lie beside it."""

    def adapt(staging: Staging, files: Sequence[DeliveredFile], into: Path) -> Adapted:
        con = staging.con
        staging.examine(files[0])
        outcome = staging.settle(files[0])
        con.execute(
            """
            create temp table panel as
            select *, country || '-' || year as part_id, make_timestamp(year + 1, 1, 1, 0, 0, 0)
                - interval 1 second as produced_at
            from checked where not is_bad;
            create temp table parts as
            select part_id, country as line, country as unit_id, produced_at, produced_at as known_at from panel
            """
        )
        write_measured(
            con, into, parts="parts", cells=cells_query("panel", sensors), sensors=list(sensors.values())
        )
        return Adapted((outcome,), ())

    return Adapter((_layout(name, sensors),), adapt, ignored=ignored)
