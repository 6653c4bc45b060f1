"""Adapters of the reference panels of Amelia II, `africa` and `freetrade`, to the raw layouts of imputation.

A part is a country in a year; the country is the unit of the panel and the line. A year is known when it
ends. Economic sizes are about normal on a logarithmic scale; shares have bounds; `polity` and `signed` are
codes. What the files lack is not invented.
"""

# SQL is put together from declared names.

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from features.schemas import Column, DType, Table
from pipelines.sources.adapter import Adapted
from pipelines.sources.delivery import DeliveredFile
from pipelines.sources.layout import History, RawLayout
from pipelines.sources.staging import Staging
from pipelines.usecases.imputation.measured import Sensor, cells_query, write_measured


def _sensor(
    name: str,
    words: str,
    scale: str = "identity",
    kind: str = "numeric",
    *,
    low: float | None = None,
    high: float | None = None,
) -> Sensor:
    return Sensor(name, "country", words, kind=kind, scale=scale, low=low, high=high)


AFRICA = {
    "gdp_pc": _sensor("gdp_pc", "gross domestic product per head", "log"),
    "infl": _sensor("infl", "inflation"),
    "trade": _sensor("trade", "trade as a share of the product"),
    "civlib": _sensor("civlib", "civil liberties, 0 to 1", low=0.0, high=1.0),
    "population": _sensor("population", "population", "log"),
}
FREETRADE = {
    "tariff": _sensor("tariff", "average tariff", low=0.0),
    "polity": _sensor("polity", "democracy score, -10 to 10", kind="ordinal"),
    "pop": _sensor("pop", "population", "log"),
    "gdp.pc": _sensor("gdp_pc", "gross domestic product per head", "log"),
    "intresmi": _sensor("intresmi", "international reserves"),
    "signed": _sensor("signed", "whether a fund agreement was signed", kind="ordinal"),
    "fiveop": _sensor("fiveop", "financial openness"),
    "usheg": _sensor("usheg", "measure of US hegemony"),
}


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


AFRICA_LAYOUTS = (_layout("africa", AFRICA),)
FREETRADE_LAYOUTS = (_layout("freetrade", FREETRADE),)


def adapter_of(sensors: Mapping[str, Sensor]) -> Callable[[Staging, Sequence[DeliveredFile], Path], Adapted]:
    """Adapter of a panel; see :class:`pipelines.sources.adapter.Adapter`."""

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

    return adapt
