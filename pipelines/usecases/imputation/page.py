"""Page, first part: the day's figures, whether the lines differ, what is missing and what stays so."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import duckdb
import numpy as np
import pandas as pd
import pyarrow.compute as pc
from numpy.typing import NDArray

from models.imputation.missingness import little_mcar, pattern_table
from models.imputation.pooling import pool
from pipelines.errors import DataContractError
from pipelines.io.lake import Lake, on_day
from pipelines.reporting.figure import Figure
from pipelines.reporting.page import Missing
from pipelines.reporting.words import short_day
from pipelines.usecase import Run
from pipelines.usecases.imputation import page_model
from pipelines.usecases.imputation.dataset import CELLS, PARTS, Wide, read_wide
from pipelines.usecases.imputation.params import ImputationParams
from pipelines.usecases.imputation.plots import missing_map
from pipelines.usecases.imputation.schemas import COMPLETED, OUT_OF_SCOPE
from pipelines.usecases.imputation.scoring import iter_completed

#: Differences between lines shown, and parts below which a line is not compared.
_ROWS, _FEWEST_PARTS = 12, 5
#: Most lines shown side by side; the rest are taken together.
_LINES = 4
_BINS = 26
_PATTERNS = 8
#: Newest parts that the test of randomness looks at.
_TEST_PARTS = 5_000
_FEWEST_TEST_PARTS = 50

Floats = NDArray[np.float64]


def sections(run: Run[ImputationParams]) -> Mapping[str, object]:
    """Parts of the page."""
    lake, as_of = run.lake, run.as_of
    return {
        "headline": headline(run),
        "lines": lines(run),
        "missingness": missingness(run),
        "quality": page_model.quality(run),
        "densities": page_model.densities(run),
        "basis": page_model.basis(run),
        "out_of_scope": out_of_scope(lake, as_of),
    }


@dataclass(frozen=True)
class Headline:
    """The figures on top.

    Attributes
    ----------
    parts, first, last, sensors
        Parts completed, the days on which they were made, and sensors.
    missing_share, limited
        Share of cells that were not measured; those of them beyond a limit.
    imputed, open
        Cells drawn in each data set, and cells that stay missing.
    m, model_version, seed
        Data sets, and what made them.
    """

    parts: int
    first: date
    last: date
    sensors: int
    missing_share: float
    limited: int
    imputed: int
    open: int
    m: int
    model_version: str
    seed: int


def headline(run: Run[ImputationParams]) -> Headline | Missing:
    """Figures of the day's completed data sets."""
    lake, day = run.lake, on_day(run.as_of)
    columns = ["draw", "imputed", "model_version", "seed"]
    rows = lake.read(COMPLETED, columns=columns, where=day, missing_ok=True)
    if not rows.num_rows:
        return Missing(f"There are no completed data sets of {run.as_of}.", run.command("score"))
    wide = read_wide(lake, run.as_of, batch=True)
    first = rows.filter(pc.equal(rows["draw"], 1))
    open_cells = lake.read(OUT_OF_SCOPE, columns=["cells"], where=day, missing_ok=True)
    return Headline(
        parts=len(wide.parts),
        first=wide.parts["produced_at"].min().date(),
        last=wide.parts["produced_at"].max().date(),
        sensors=wide.values.shape[1],
        missing_share=float(wide.values.isna().to_numpy().mean()),
        limited=len(wide.limited.row),
        imputed=int(pc.sum(first["imputed"]).as_py() or 0),
        open=int(pc.sum(open_cells["cells"]).as_py() or 0),
        m=int(pc.max(rows["draw"]).as_py()),
        model_version=rows["model_version"][0].as_py(),
        seed=rows["seed"][0].as_py(),
    )


def out_of_scope(lake: Lake, as_of: date) -> list[tuple[str, str, int]]:
    """Sensor, why its gaps stay, and how many."""
    rows = lake.read(OUT_OF_SCOPE, where=on_day(as_of), missing_ok=True).to_pylist()
    rows.sort(key=lambda row: (-row["cells"], row["sensor_id"]))
    return [(row["sensor_id"], row["words"], row["cells"]) for row in rows]


# ------------------------------------------------------------------------------------------ lines


@dataclass(frozen=True)
class Difference:
    """A line's mean of a sensor against that of the other lines.

    Attributes
    ----------
    estimate, low, high
        Difference in the sensor's unit, with its pooled 95 % interval.
    in_sd
        The same in standard deviations of the sensor.
    observed_only
        Difference of the measured cells alone.
    missing
        Share of missing cells of the line.
    """

    sensor: str
    line: str
    unit: str
    estimate: float
    low: float
    high: float
    in_sd: float
    observed_only: float
    missing: float

    @property
    def digits(self) -> int:
        """Decimals that show three digits of the interval's width."""
        width = self.high - self.low
        return max(0, 2 - math.floor(math.log10(width))) if width > 0 else 3

    @property
    def certain(self) -> bool:
        """Whether the interval excludes zero."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Lines:
    """Largest differences first.

    Attributes
    ----------
    rows
        At most twelve.
    parts, compared, certain
        Parts of the day; pairs of line and sensor compared, and those that differ beyond noise.
    """

    rows: Sequence[Difference]
    parts: int
    compared: int
    certain: int


def lines(run: Run[ImputationParams]) -> Lines | Missing:
    """Compare the lines on the completed data sets of the day, pooled by Rubin's rules."""
    try:
        wide = read_wide(run.lake, run.as_of, batch=True)
        tables = [
            table.reindex(index=wide.parts["part_id"], columns=wide.numeric)
            for table in iter_completed(run.lake, run.as_of)
        ]
    except DataContractError:
        return Missing(f"There are no completed data sets of {run.as_of}.", run.command("score"))
    line = wide.parts["line"].to_numpy()
    sizes = {name: int((line == name).sum()) for name in np.unique(line)}
    names = [name for name, size in sizes.items() if _FEWEST_PARTS <= size <= len(line) - _FEWEST_PARTS]
    if not names:
        return Missing(f"No two lines made at least {_FEWEST_PARTS} parts each in the batch of {run.as_of}.")
    sensors = [name for name in wide.numeric if all(table[name].notna().all() for table in tables)]
    values = [table[sensors].to_numpy(dtype=np.float64) for table in tables]
    found: list[Difference] = []
    for name in names:
        found += _differences(wide, sensors, values, line == name, str(name))
    found.sort(key=lambda d: (not d.certain, -abs(d.in_sd), d.sensor, d.line))
    return Lines(found[:_ROWS], len(line), len(found), sum(d.certain for d in found))


def _differences(
    wide: Wide, sensors: Sequence[str], values: Sequence[Floats], own: NDArray[np.bool_], line: str
) -> list[Difference]:
    means = np.array([table[own].mean(axis=0) - table[~own].mean(axis=0) for table in values])
    variances = np.array([
        table[own].var(axis=0, ddof=1) / own.sum() + table[~own].var(axis=0, ddof=1) / (~own).sum()
        for table in values
    ])  # fmt: skip
    pooled = pool(means, variances, complete_df=float(len(own) - 2))
    spread = np.mean([table.std(axis=0) for table in values], axis=0)
    units = wide.sensors.set_index("sensor_id")["unit"]
    observed = wide.values[list(sensors)]
    alone = observed[own].mean() - observed[~own].mean()
    missing = observed[own].isna().mean()
    return [
        Difference(
            sensor, line, "" if pd.isna(units[sensor]) else str(units[sensor]), float(pooled.estimate[i]),
            float(pooled.low[i]), float(pooled.high[i]), float(pooled.estimate[i] / spread[i]) if spread[i] else 0.0,
            float(alone[sensor]), float(missing[sensor]),
        )
        for i, sensor in enumerate(sensors)
    ]  # fmt: skip


# -------------------------------------------------------------------------------------- missing


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


def missingness(run: Run[ImputationParams]) -> Missingness | Missing:
    """Describe what is missing of the parts of the window, as far as they were prepared."""
    try:
        wide = read_wide(run.lake, run.as_of)
    except DataContractError:
        return Missing(f"The features of {run.as_of} were not made.", run.command("score"))
    parts, counts = _counted(run.lake, run.as_of, run.params.window.train_days)
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
