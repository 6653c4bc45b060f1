"""Page, second part: how far the drawn values can be trusted, and what the model rests on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from features.schemas import Table
from models.imputation.density import compare_densities
from pipelines.errors import DataContractError
from pipelines.io.lake import Lake, on_day
from pipelines.reporting.figure import Choice, Chosen, Figure
from pipelines.reporting.page import Missing
from pipelines.reporting.words import number, percent
from pipelines.usecase import Run
from pipelines.usecases.imputation import plots
from pipelines.usecases.imputation.dataset import read_wide
from pipelines.usecases.imputation.judging import root_mean_square
from pipelines.usecases.imputation.params import ImputationParams
from pipelines.usecases.imputation.schemas import CHAINS, COLUMNS, DISPERSION, SENSITIVITY, VALIDATION
from pipelines.usecases.imputation.scoring import completed_numbers

#: Hidden cells drawn of a sensor; every k-th of more.
_SHOWN_CELLS = 90
#: Sensors whose missing information is shown.
_SENSORS_SHOWN = 20


def quality(run: Run[ImputationParams]) -> dict[str, Any] | Missing:
    """Overimputation of the newest training run up to a day, as a whole, by sensor, by station and by line.

    ``coverage`` is the share of cells within their 90 % interval; ``error`` the root mean squared error in standard
    deviations, beside that of means.
    """
    rows = _newest(run.lake, VALIDATION, run.as_of)
    ours = rows[rows["candidate"] == "challenger"]
    if ours.empty:
        return Missing("No model was judged yet.", run.command("train"))

    def judged(cells: pd.DataFrame) -> dict[str, Any]:
        error = root_mean_square(cells["error"])
        return {"cells": len(cells), "coverage": float(cells["covered"].mean()), "error": error}

    return judged(ours) | {
        "trained_for": ours["as_of"].iloc[0],
        "parts": ours["part_id"].nunique(),
        "error_of_means": root_mean_square(rows.loc[rows["candidate"] == "mean", "error"]),
        "scatter": _scatter(ours),
        "by_sensor": _coverage(ours),
        "tables": {
            name: [{"name": key, **judged(part)} for key, part in ours.groupby(name)]
            for name in ("station", "line")
        },
    }


def densities(run: Run[ImputationParams]) -> Chosen | Missing:
    """Measured and drawn values of the day, for sensors with enough drawn ones."""
    missing = Missing(f"There are too few drawn numbers on {run.as_of} to compare.", run.command("score"))
    try:
        wide = read_wide(run.lake, run.as_of, batch=True)
        measured = wide.values[wide.numeric].set_axis(wide.parts["part_id"])
        curves, summary = compare_densities(measured, completed_numbers(run, wide))
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
            _choice(
                name, str(stations.loc[name, "station"]), words, [value, value],
                [[round(v, 6) for v in own[side].tolist()] for side in ("observed", "imputed")],
            )
        )  # fmt: skip
    return plots.densities(options) if options else missing


def _newest(lake: Lake, table: Table, as_of: date) -> pd.DataFrame:
    """Rows of the newest partition of a table up to a day; none before the first."""
    day = lake.newest_day(table, as_of) or as_of
    rows: pd.DataFrame = lake.read(table, where=on_day(day), missing_ok=True).to_pandas()
    return rows


def _scatter(ours: pd.DataFrame) -> Chosen:
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
            _choice(
                str(name), str(own["station"].iloc[0]), words,
                [ends, *(_bars(cells, "observed", "observed") for cells in (held, missed)), _short(own["observed"])],
                [ends, *(_bars(cells, "low", "high") for cells in (held, missed)), _short(own["predicted"])],
            )
        )  # fmt: skip
    return plots.overimputed(options)


def _choice(sensor: str, group: str, words: str, x: Sequence[object], y: Sequence[object]) -> Choice:
    """What a figure shows of one sensor: places of each trace."""
    return Choice(sensor, sensor, group, words, {"x": x, "y": y})


def _bars(cells: pd.DataFrame, start: str, end: str) -> list[float | None]:
    """One place of the ends of all bars, which are drawn as one line with gaps."""
    pairs = zip(_short(cells[start]), _short(cells[end]), strict=True)
    return [place for low, high in pairs for place in (low, high, None)]


def _short(values: pd.Series) -> list[float]:
    """Five significant digits: a page holds thousands of cells."""
    return [float(f"{value:.5g}") for value in values]


def _coverage(ours: pd.DataFrame) -> Figure:
    grouped = ours.groupby("sensor_id")["covered"].agg(["sum", "count"]).sort_index()
    held, cells = grouped["sum"].to_numpy(dtype=float), grouped["count"].to_numpy(dtype=float)
    low, high = (stats.beta.ppf(q, held + a, cells - held + 1 - a) for q, a in ((0.025, 0), (0.975, 1)))
    return plots.coverage(
        [str(name) for name in grouped.index], held / cells, np.nan_to_num(low, nan=0.0),
        np.nan_to_num(high, nan=1.0), cells,
    )  # fmt: skip


# ------------------------------------------------------------------------------ for data scientists


def basis(run: Run[ImputationParams]) -> dict[str, Any] | Missing:
    """Preflight, convergence, missing information, dispersed starts and sensitivity of the newest training.

    ``columns`` are the sensors, those with a remark first, ``remarks`` how many have one; ``m_needed`` is the largest
    number of data sets that missing information calls for.
    """
    lake, as_of = run.lake, run.as_of
    columns, chains = _newest(lake, COLUMNS, as_of), _newest(lake, CHAINS, as_of)
    if columns.empty or chains.empty:
        return Missing("No model was trained yet.", run.command("train"))
    known = columns.dropna(subset=["missing_information"]).sort_values(
        ["missing_information", "sensor_id"], ascending=[False, True]
    )
    shown = known[known["missing_information"] > 0].head(_SENSORS_SHOWN)
    shown = shown if len(shown) else known.head(1)
    remarked = columns["problem"].notna()
    ordered = columns.assign(order=~remarked).sort_values(["order", "sensor_id"])
    return {
        "trained_for": columns["as_of"].iloc[0],
        "columns": ordered.to_dict("records"),
        "remarks": int(remarked.sum()),
        # All rows first, then the chains by number.
        "chains": sorted(
            chains.to_dict("records"), key=lambda c: (c["chain"] != "all rows", len(c["chain"]), c["chain"])
        ),
        "information": plots.information(
            list(shown["sensor_id"]),
            shown["missing_information"].to_numpy(dtype=np.float64),
            shown["m_needed"].to_numpy(dtype=np.float64),
            m=run.params.model.m,
        ),
        "m_needed": int(known["m_needed"].max()) if len(known) else 0,
        "paths": _paths(lake, as_of),
        "sensitivity": _sensitivity(lake, as_of),
    }


def _paths(lake: Lake, as_of: date) -> Figure:
    rows = _newest(lake, DISPERSION, as_of)
    by_start: Any = rows.groupby("start", sort=True)
    paths = {
        int(start): (own["iteration"].to_numpy(dtype=np.float64), own["position"].to_numpy(dtype=np.float64))
        for start, own in by_start
    }
    ends = [float(position[-1]) for _, position in paths.values()]
    furthest = max((float(np.abs(position).max()) for _, position in paths.values()), default=0.0)
    apart = max(ends) - min(ends) if ends else 0.0
    agree = apart <= 0.01 * furthest
    words = (
        f"{len(paths)} starts far apart end {'at the same answer' if agree else 'at different answers'} (largest distance "
        f"{apart:.2g} of {furthest:.2g} at the start)"
    )
    if not agree:
        words += ": the data do not determine the model; leave out sensors or raise model.ridge"
    return plots.paths(paths, words)


def _sensitivity(lake: Lake, as_of: date) -> Chosen | Missing:
    rows = _newest(lake, SENSITIVITY, as_of)
    if rows.empty:
        return Missing(
            "There are no two lines of at least 20 parts whose difference missing cells could change."
        )
    options = []
    # The conclusion that falls first stands first.
    tips = rows[["tipping_low", "tipping_high"]].abs().min(axis=1)
    rows = rows.assign(tip=tips.fillna(np.inf)).sort_values(["tip", "sensor_id", "delta"])
    for sensor, own in rows.groupby("sensor_id", sort=False):
        delta = [float(v) for v in own["delta"]]
        low, high, estimate = (_short(own[name]) for name in ("low", "high", "estimate"))
        options.append(
            _choice(
                str(sensor), "Sensor", f"{own['words'].iloc[0][:1].upper()}{own['words'].iloc[0][1:]}.",
                [delta + delta[::-1], delta], [low + high[::-1], estimate],
            )
        )  # fmt: skip
    return plots.sensitivity(options)
