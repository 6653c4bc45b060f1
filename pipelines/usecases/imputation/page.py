"""Page, first part: the day's figures, whether the lines differ, what is missing and what stays so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow.compute as pc
from numpy.typing import NDArray

from models.imputation.missingness import little_mcar, pattern_table
from models.imputation.pooling import difference, pool_answers
from pipelines.errors import DataContractError
from pipelines.io.lake import Lake, on_day
from pipelines.reporting.page import Missing
from pipelines.reporting.words import short_day
from pipelines.usecase import Run
from pipelines.usecases.imputation import page_model
from pipelines.usecases.imputation.dataset import CELLS, PARTS, Wide, read_wide
from pipelines.usecases.imputation.params import ImputationParams
from pipelines.usecases.imputation.plots import missing_map
from pipelines.usecases.imputation.schemas import COMPLETED, OUT_OF_SCOPE
from pipelines.usecases.imputation.scoring import completed_numbers

#: Differences between lines shown, and parts below which a line is not compared.
_ROWS, _FEWEST_PARTS = 12, 5
#: Most lines shown side by side; the rest are taken together.
_LINES, _OTHERS = 4, "other lines"
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


def headline(run: Run[ImputationParams]) -> dict[str, Any] | Missing:
    """Figures of the day's completed data sets: cells that were drawn, and cells that stay ``open``."""
    lake, day = run.lake, on_day(run.as_of)
    columns = ["draw", "imputed", "model_version"]
    rows = lake.read(COMPLETED, columns=columns, where=day, missing_ok=True)
    if not rows.num_rows:
        return Missing(f"There are no completed data sets of {run.as_of}.", run.command("score"))
    wide = read_wide(lake, run.as_of, batch=True)
    made = wide.parts["produced_at"]
    first = rows.filter(pc.equal(rows["draw"], 1))
    open_cells = lake.read(OUT_OF_SCOPE, columns=["cells"], where=day, missing_ok=True)
    return {
        "parts": len(wide.parts),
        "first": made.min().date(),
        "last": made.max().date(),
        "sensors": wide.values.shape[1],
        "missing_share": float(wide.values.isna().to_numpy().mean()),
        "limited": len(wide.limited.row),
        "imputed": pc.sum(first["imputed"]).as_py() or 0,
        "open": pc.sum(open_cells["cells"]).as_py() or 0,
        "m": pc.max(rows["draw"]).as_py(),
        "model_version": rows["model_version"][0].as_py(),
    }


def out_of_scope(lake: Lake, as_of: date) -> list[tuple[str, str, int]]:
    """Sensor, why its gaps stay, and how many."""
    rows = lake.read(OUT_OF_SCOPE, where=on_day(as_of), missing_ok=True).to_pylist()
    rows.sort(key=lambda row: (-row["cells"], row["sensor_id"]))
    return [(row["sensor_id"], row["words"], row["cells"]) for row in rows]


# ------------------------------------------------------------------------------------------ lines


def lines(run: Run[ImputationParams]) -> dict[str, Any] | Missing:
    """Compare the lines on the completed data sets of the day, pooled by Rubin's rules; largest differences first.

    Returns ``rows``, at most twelve, by :func:`_differences`; number of ``parts``, of pairs of line and
    sensor ``compared``, and of those that differ beyond noise (``certain``).
    """
    try:
        wide = read_wide(run.lake, run.as_of, batch=True)
        tables = completed_numbers(run, wide)
    except DataContractError:
        return Missing(f"There are no completed data sets of {run.as_of}.", run.command("score"))
    line = wide.parts["line"].to_numpy()
    names, sizes = np.unique(line, return_counts=True)
    names = names[(sizes >= _FEWEST_PARTS) & (sizes <= len(line) - _FEWEST_PARTS)]
    if not len(names):
        return Missing(f"No two lines made at least {_FEWEST_PARTS} parts each in the batch of {run.as_of}.")
    sensors = [name for name in wide.numeric if all(table[name].notna().all() for table in tables)]
    values = [table[sensors].to_numpy(dtype=np.float64) for table in tables]
    found = [row for name in names for row in _differences(wide, sensors, values, line == name, str(name))]
    found.sort(key=lambda row: (not row["certain"], -abs(row["in_sd"]), row["sensor"], row["line"]))
    certain = sum(row["certain"] for row in found)
    return {"rows": found[:_ROWS], "parts": len(line), "compared": len(found), "certain": certain}


def _differences(
    wide: Wide, sensors: Sequence[str], values: Sequence[Floats], own: NDArray[np.bool_], line: str
) -> list[dict[str, Any]]:
    """A line's mean of each sensor against that of the other lines.

    Returns by sensor its ``unit``, the difference (``estimate``) with its 95 % interval from ``low`` to
    ``high``, the same ``in_sd`` (standard deviations of the sensor), the difference of the measured cells
    alone (``observed_only``), the share of ``missing`` cells of the line, whether the interval excludes zero
    (``certain``), and the ``digits`` that show three of the interval's width.
    """
    pooled = pool_answers([difference(table, own) for table in values], complete_df=float(len(own) - 2))
    spread = np.mean([table.std(axis=0) for table in values], axis=0)
    observed, width = wide.values[list(sensors)], pooled.high - pooled.low
    with np.errstate(divide="ignore"):
        digits = np.where(width > 0, np.maximum(0, 2 - np.floor(np.log10(width))), 3)
    table = pd.DataFrame(
        {
            "sensor": sensors,
            "line": line,
            "unit": wide.sensors.set_index("sensor_id")["unit"].fillna("").loc[list(sensors)].to_numpy(),
            "estimate": pooled.estimate,
            "low": pooled.low,
            "high": pooled.high,
            "in_sd": np.divide(pooled.estimate, spread, out=np.zeros(len(sensors)), where=spread != 0),
            "observed_only": (observed[own].mean() - observed[~own].mean()).to_numpy(),
            "missing": observed[own].isna().mean().to_numpy(),
            "certain": (pooled.low > 0) | (pooled.high < 0),
            "digits": digits.astype(int),
        }
    )
    rows: list[dict[str, Any]] = table.to_dict("records")  # type: ignore[assignment]
    return rows


# -------------------------------------------------------------------------------------- missing


def missingness(run: Run[ImputationParams]) -> dict[str, Any] | Missing:
    """Describe what is missing of the parts of the window, as far as they were prepared.

    Returns ``figure``, the map, over ``parts`` made from ``first`` to ``last``; ``places``, the stations with
    their shares by line, in the order of ``lines``; the most frequent ``patterns`` of the day's parts and how
    many ``distinct`` ones there are; and Little's ``test`` in words.
    """
    try:
        wide = read_wide(run.lake, run.as_of)
    except DataContractError:
        return Missing(f"The features of {run.as_of} were not made.", run.command("score"))
    parts, counts = _counted(run.lake, run.as_of, run.params.window.train_days)
    lines = _lines(parts)
    parts, counts = (
        table.assign(line=table["line"].where(table["line"].isin(lines), _OTHERS))
        for table in (parts, counts)
    )
    sensors = list(wide.sensors.sort_values(["station", "sensor_id"])["sensor_id"])
    first, last, made = parts["first"].min(), parts["last"].max(), int(parts["parts"].sum())
    width = (last - first).days // _BINS + 1
    days = [short_day((first + timedelta(days=n * width)).date()) for n in range(int(parts["bin"].max()) + 1)]
    patterns, distinct = _patterns(wide)
    return {
        "figure": missing_map(_shares(parts, counts, lines, sensors), days, sensors, parts=made),
        "lines": lines,
        "places": _places(parts, counts, wide.sensors, lines),
        "patterns": patterns,
        "distinct": distinct,
        "test": _test(wide),
        "parts": made,
        "first": first.date(),
        "last": last.date(),
    }


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
    """The largest lines, by name; the rest is taken together."""
    sizes = parts.groupby("line")["parts"].sum().sort_values(ascending=False, kind="stable")
    if len(sizes) <= _LINES:
        return sorted(sizes.index)
    return [*sorted(sizes.index[: _LINES - 1]), _OTHERS]


def _shares(
    parts: pd.DataFrame, counts: pd.DataFrame, lines: list[str], sensors: list[str]
) -> dict[str, np.ndarray]:
    """Share of missing cells by sensor and bin of each line; NaN where it made no part."""
    bins = range(int(parts["bin"].max()) + 1)
    made = parts.pivot_table("parts", "line", "bin", aggfunc="sum").reindex(columns=bins)
    measured = counts.pivot_table("measured", ["line", "sensor_id"], "bin", aggfunc="sum")
    cells = pd.MultiIndex.from_product([lines, sensors])
    measured = measured.reindex(index=cells, columns=bins).fillna(0)
    return {line: 1 - measured.loc[line].to_numpy(float) / made.loc[line].to_numpy(float) for line in lines}


def _places(
    parts: pd.DataFrame, counts: pd.DataFrame, sensors: pd.DataFrame, lines: list[str]
) -> list[dict[str, Any]]:
    """Stations with the share of missing cells by line and overall, the one with the most first."""
    station = sensors.set_index("sensor_id")["station"]
    made = parts.groupby("line")["parts"].sum()
    measured = counts.groupby([counts["sensor_id"].map(station), "line"])["measured"].sum()
    found = []
    for name, width in station.value_counts().sort_index().items():
        own = measured.reindex([(name, line) for line in lines], fill_value=0).to_numpy()
        by_line = 1 - own / (made[lines].to_numpy() * width)
        overall = 1 - own.sum() / (made.sum() * width)
        shares = dict(zip(lines, by_line.tolist(), strict=True))
        found.append({"station": name, "by_line": shares, "overall": float(overall)})
    return sorted(found, key=lambda place: -place["overall"])


def _patterns(wide: Wide) -> tuple[list[dict[str, Any]], int]:
    """The most frequent patterns of the day's partition, and how many there are."""
    table = pattern_table(wide.values, top=_PATTERNS)
    stations = wide.sensors.set_index("sensor_id")["station"]
    found = []
    for name, row in table.iterrows():
        if "others" in str(name):
            continue
        gone = [sensor for sensor in wide.values.columns if bool(row[sensor])]
        found.append({"words": _collapsed(gone, stations), "parts": row["rows"], "share": row["share"]})
    return found, len(np.unique(wide.values.isna().to_numpy(), axis=0))


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
