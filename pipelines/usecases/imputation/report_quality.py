"""Report, second part: how far the drawn values can be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.dataset as pa_dataset
from scipy import stats

from features.schemas import Table
from models.imputation.density import compare_densities
from pipelines.errors import DataContractError
from pipelines.io.lake import Lake
from pipelines.reporting import sections
from pipelines.reporting.figure import Figure
from pipelines.reporting.site import Missing
from pipelines.reporting.words import number, percent
from pipelines.usecases.imputation import plots
from pipelines.usecases.imputation.dataset import Wide, read_wide
from pipelines.usecases.imputation.read import iter_completed
from pipelines.usecases.imputation.schemas import VALIDATION

#: Hidden cells drawn of a sensor; every k-th of more.
_SHOWN_CELLS = 90


@dataclass(frozen=True)
class Row:
    """Overimputation of one station or line."""

    name: str
    cells: int
    coverage: float
    error: float


@dataclass(frozen=True)
class Quality:
    """Overimputation of the newest training.

    Attributes
    ----------
    trained_for
        Its ``as_of``.
    cells, parts
        Hidden cells, and the parts that they are of.
    coverage, error, error_of_means
        Share within 90 % intervals; root mean squared error in standard deviations, of the model and of means.
    scatter
        Cells by sensor, to choose from.
    by_sensor
        Coverage of each sensor.
    tables
        Coverage and error by station, and by line.
    """

    trained_for: date
    cells: int
    parts: int
    coverage: float
    error: float
    error_of_means: float
    scatter: plots.Chosen
    by_sensor: Figure
    tables: Mapping[str, Sequence[Row]]


def quality(lake: Lake, as_of: date) -> Quality | Missing:
    """Overimputation of the newest training run up to a day."""
    rows = newest(lake, VALIDATION, as_of)
    ours = rows[rows["candidate"] == "challenger"]
    if ours.empty:
        return Missing("No model was judged yet.", f"millrace train imputation --as-of {as_of}")
    means = rows[rows["candidate"] == "mean"]
    return Quality(
        trained_for=ours["as_of"].iloc[0],
        cells=len(ours),
        parts=int(ours["part_id"].nunique()),
        coverage=float(ours["covered"].mean()),
        error=_rms(ours),
        error_of_means=_rms(means),
        scatter=_scatter(ours),
        by_sensor=_coverage(ours),
        tables={
            name: [
                Row(str(key), len(part), float(part["covered"].mean()), _rms(part))
                for key, part in ours.groupby(name)
            ]
            for name in ("station", "line")
        },
    )


def densities(lake: Lake, as_of: date) -> plots.Chosen | Missing:
    """Measured and drawn values of the day, for the sensors of which enough was drawn."""
    missing = Missing(
        f"There are too few drawn numbers on {as_of} to compare.",
        f"millrace score imputation --as-of {as_of}",
    )
    try:
        wide = read_wide(lake, as_of, batch=True)
        curves, summary = compare_densities(_by_part(wide), _aligned(lake, as_of, wide))
    except DataContractError:
        return missing
    options = []
    stations = wide.sensors.set_index("sensor_id")
    units: dict[Any, Any] = stations["unit"].to_dict()
    for facts in sorted(summary.to_dict("records"), key=lambda row: (-row["imputed"], row["column"])):
        name = str(facts["column"])
        own = curves[curves["column"] == name]
        value = [round(v, 6) for v in own["value"].tolist()]
        unit = f" {units[name]}" if units.get(name) else ""
        words = (
            f"{facts['imputed']} cells drawn beside {facts['observed']} measured ones: mean "
            f"{facts['imputed_mean']:.4g} against {facts['observed_mean']:.4g}{unit}, spread "
            f"{facts['imputed_sd']:.3g} against {facts['observed_sd']:.3g}."
        )
        options.append(
            plots.Option(
                name, name, str(stations.loc[name, "station"]), words, [value, value],
                [[round(v, 6) for v in own[side].tolist()] for side in ("observed", "imputed")],
            )
        )  # fmt: skip
    return plots.densities(options) if options else missing


def newest(lake: Lake, table: Table, as_of: date) -> pd.DataFrame:
    """Rows of the newest partition of a table up to a day; none before the first."""
    day = sections.newest_day(lake, table, as_of)
    where = pa_dataset.field("as_of") == (day or as_of)
    rows: pd.DataFrame = lake.read(table, where=where, missing_ok=True).to_pandas()
    return rows


def _by_part(wide: Wide) -> pd.DataFrame:
    values = wide.values[wide.numeric].copy()
    values.index = pd.Index(wide.parts["part_id"])
    return values


def _aligned(lake: Lake, as_of: date, wide: Wide) -> list[pd.DataFrame]:
    """Completed data sets of the day in the order of the features."""
    order, columns = wide.parts["part_id"], wide.numeric
    return [table.reindex(index=order, columns=columns) for table in iter_completed(lake, as_of)]


def _scatter(ours: pd.DataFrame) -> plots.Chosen:
    options = []
    worst_first = ours.groupby("sensor_id")["covered"].mean().sort_values(kind="stable").index
    for name in worst_first:
        whole = ours[ours["sensor_id"] == name].sort_values("part_id")
        own = whole.iloc[:: max(1, len(whole) // _SHOWN_CELLS)]
        held, missed = own[own["covered"]], own[~own["covered"]]
        ends = [float(whole["observed"].min()), float(whole["observed"].max())]
        varies = min(float(whole[name].std(ddof=0)) for name in ("predicted", "observed")) > 0
        relation = whole["predicted"].corr(whole["observed"]) if varies else float("nan")
        words = (
            f"{percent(float(whole['covered'].mean()))} of {len(whole)} cells within their interval; correlation of mean "
            f"and measured value {number(float(relation), 2)}."
        )
        options.append(
            plots.Option(
                str(name), str(name), str(own["station"].iloc[0]), words,
                [ends, _bars(held, "x"), _bars(missed, "x"), _short(own["observed"])],
                [ends, _bars(held, "y"), _bars(missed, "y"), _short(own["predicted"])],
            )
        )  # fmt: skip
    return plots.overimputed(options)


def _bars(cells: pd.DataFrame, axis: str) -> list[float | None]:
    """Vertical bars as one line with gaps."""
    found: list[float | None] = []
    for x, low, high in zip(cells["observed"], cells["low"], cells["high"], strict=True):
        found += [_four(x), _four(x), None] if axis == "x" else [_four(low), _four(high), None]
    return found


def _short(values: pd.Series) -> list[float | None]:
    return [_four(value) for value in values]


def _four(value: float) -> float:
    """Five significant digits: a page holds thousands of cells."""
    return float(f"{value:.5g}")


def _coverage(ours: pd.DataFrame) -> Figure:
    grouped = ours.groupby("sensor_id")["covered"].agg(["sum", "count"]).sort_index()
    held, cells = grouped["sum"].to_numpy(dtype=float), grouped["count"].to_numpy(dtype=float)
    low, high = (stats.beta.ppf(q, held + a, cells - held + 1 - a) for q, a in ((0.025, 0), (0.975, 1)))
    return plots.coverage(
        [str(name) for name in grouped.index], held / cells, np.nan_to_num(low, nan=0.0),
        np.nan_to_num(high, nan=1.0), cells,
    )  # fmt: skip


def _rms(cells: pd.DataFrame) -> float:
    return float(np.sqrt(np.square(cells["error"]).mean()))
