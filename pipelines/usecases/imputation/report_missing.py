"""Report, first part: what is missing, where, when, in which patterns, and whether at random."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import duckdb
import numpy as np
import pandas as pd

from models.imputation.missingness import little_mcar, pattern_table
from pipelines.errors import DataContractError
from pipelines.io.lake import Lake
from pipelines.reporting.figure import Figure
from pipelines.reporting.site import Missing
from pipelines.reporting.words import short_day
from pipelines.usecases.imputation.dataset import CELLS, PARTS, Wide, read_wide
from pipelines.usecases.imputation.params import ImputationParams
from pipelines.usecases.imputation.plots import missing_map

#: Most lines shown side by side; the rest are taken together.
_LINES = 4
_BINS = 26
_PATTERNS = 8
#: Newest parts that the test of randomness looks at.
_TEST_PARTS = 5_000
_FEWEST_TEST_PARTS = 50


@dataclass(frozen=True)
class Place:
    """Share of missing cells at a station, by line; NaN where the line has no part."""

    station: str
    by_line: Mapping[str, float]
    overall: float


@dataclass(frozen=True)
class Pattern:
    """Parts that lack the same sensors.

    Attributes
    ----------
    words
        The sensors, whole stations by their name.
    parts, share
        How many parts.
    """

    words: str
    parts: int
    share: float


@dataclass(frozen=True)
class Missingness:
    """What is missing.

    Attributes
    ----------
    figure
        The map.
    lines
        Lines, in order.
    places
        Stations with their shares by line.
    patterns
        The most frequent ones.
    distinct
        How many patterns there are.
    test
        Little's test, in words.
    parts, first, last
        Parts of the map, and their days.
    """

    figure: Figure
    lines: list[str]
    places: list[Place]
    patterns: list[Pattern]
    distinct: int
    test: str
    parts: int
    first: date
    last: date


def missingness(lake: Lake, as_of: date, params: ImputationParams) -> Missingness | Missing:
    """Describe what is missing of the parts of the window, as far as they were prepared."""
    try:
        wide = read_wide(lake, as_of)
    except DataContractError:
        return Missing(
            f"The features of {as_of} were not made.", f"millrace score imputation --as-of {as_of}"
        )
    parts, counts = _counted(lake, as_of, params.window.train_days)
    order = wide.sensors.sort_values(["station", "sensor_id"])
    lines = _lines(parts)
    shares = _shares(parts, counts, lines, list(order["sensor_id"]))
    bins = sorted(parts["bin"].unique())
    first, last = parts["first"].min(), parts["last"].max()
    width = (last - first).days // _BINS + 1
    days = [short_day((first + timedelta(days=int(b) * width)).date()) for b in range(int(max(bins)) + 1)]
    patterns, distinct = _patterns(wide)
    return Missingness(
        figure=missing_map(shares, days, list(order["sensor_id"]), parts=int(parts["parts"].sum())),
        lines=lines,
        places=_places(parts, counts, wide.sensors, lines),
        patterns=patterns,
        distinct=distinct,
        test=_test(wide),
        parts=int(parts["parts"].sum()),
        first=first.date(),
        last=last.date(),
    )


def _counted(lake: Lake, as_of: date, days: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Parts by line and bin, and measured cells by line, bin and sensor; each part as it was known last.

    Counted where the files are: days of history never come into memory.
    """
    with duckdb.connect(config={"threads": 2, "memory_limit": "1GB"}) as con:
        for name, table in (("parts", PARTS), ("cells", CELLS)):
            con.register(name, lake.dataset(table))
        con.execute(
            f"""
            create temp table shown as
            select part_id, line, as_of, produced_at from parts
            where as_of <= date '{as_of}' and produced_at >= date '{as_of}' - {days}
            qualify row_number() over (partition by part_id order by as_of desc) = 1
            """
        )
        con.execute(
            f"""
            create temp table binned as
            select part_id, line, as_of, produced_at,
                date_diff('day', min(produced_at) over (), produced_at)
                    // (date_diff('day', min(produced_at) over (), max(produced_at) over ()) // {_BINS} + 1) as bin
            from shown
            """
        )
        parts = con.sql(
            "select line, bin, count(*) as parts, min(produced_at) as first, max(produced_at) as last from binned"
            " group by all order by line, bin"
        ).df()
        counts = con.sql(
            "select line, bin, sensor_id, count(*) as measured from cells join binned using (as_of, part_id)"
            " where status = 'measured' group by all order by all"
        ).df()
    return parts, counts


def _lines(parts: pd.DataFrame) -> list[str]:
    """The largest lines, by name; the rest is `other lines`."""
    sizes = parts.groupby("line")["parts"].sum().sort_values(ascending=False, kind="stable")
    if len(sizes) <= _LINES:
        return sorted(sizes.index)
    return [*sorted(sizes.index[: _LINES - 1]), "other lines"]


def _shares(
    parts: pd.DataFrame, counts: pd.DataFrame, lines: list[str], sensors: list[str]
) -> dict[str, np.ndarray]:
    width = int(parts["bin"].max()) + 1
    place = {name: position for position, name in enumerate(sensors)}
    shares = {}
    for line in lines:
        own = parts[_is_line(parts, line, lines)]
        made = np.zeros(width)
        np.add.at(made, own["bin"].to_numpy(dtype=int), own["parts"].to_numpy(dtype=float))
        measured = np.zeros((len(sensors), width))
        cells = counts[_is_line(counts, line, lines) & counts["sensor_id"].isin(place)]
        rows = cells["sensor_id"].map(place).to_numpy(dtype=int)
        np.add.at(measured, (rows, cells["bin"].to_numpy(dtype=int)), cells["measured"].to_numpy(dtype=float))
        with np.errstate(invalid="ignore", divide="ignore"):
            shares[line] = np.where(made > 0, 1 - measured / made, np.nan)
    return shares


def _is_line(rows: pd.DataFrame, line: str, lines: list[str]) -> pd.Series:
    return ~rows["line"].isin(lines) if line == "other lines" else rows["line"] == line


def _places(
    parts: pd.DataFrame, counts: pd.DataFrame, sensors: pd.DataFrame, lines: list[str]
) -> list[Place]:
    station = sensors.set_index("sensor_id")["station"]
    found = []
    for name, members in station.groupby(station):
        cells = counts[counts["sensor_id"].isin(members.index)]

        def share(made: pd.DataFrame, measured: pd.DataFrame, width: int = len(members)) -> float:
            total = float(made["parts"].sum()) * width
            return 1 - float(measured["measured"].sum()) / total if total else float("nan")

        by_line = {
            line: share(parts[_is_line(parts, line, lines)], cells[_is_line(cells, line, lines)])
            for line in lines
        }
        found.append(Place(str(name), by_line, share(parts, cells)))
    return sorted(found, key=lambda place: -place.overall)


def _patterns(wide: Wide) -> tuple[list[Pattern], int]:
    """The most frequent patterns of the day's partition."""
    table = pattern_table(wide.values, top=_PATTERNS)
    stations = wide.sensors.set_index("sensor_id")["station"]
    found = []
    for name, row in table.iterrows():
        if "others" in str(name):
            continue
        gone = [sensor for sensor in wide.values.columns if bool(row[sensor])]
        found.append(Pattern(_collapsed(gone, stations), int(row["rows"]), float(row["share"])))
    gaps = np.unique(wide.values.isna().to_numpy(), axis=0)
    return found, len(gaps)


def _collapsed(gone: list[str], stations: pd.Series) -> str:
    """Name sensors, whole stations by their name."""
    if not gone:
        return "nothing: complete parts"
    words, lost = [], set(gone)
    for station, members in stations.groupby(stations, sort=False):
        missing = [sensor for sensor in members.index if sensor in lost]
        if len(missing) == len(members) > 1:
            words.append(f"all of {station}")
        else:
            words += missing
    return ", ".join(words[:8]) + (f" and {len(words) - 8} more" if len(words) > 8 else "")


def _test(wide: Wide) -> str:
    if len(wide.parts) < _FEWEST_TEST_PARTS:
        return f"{len(wide.parts)} parts are too few to test whether cells are missing completely at random"
    first = max(0, len(wide.parts) - _TEST_PARTS)
    return little_mcar(wide.values[wide.numeric].iloc[first:]).words
