"""Report, third part: what the model rests on, for data scientists."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from pipelines.io.lake import Lake
from pipelines.reporting.figure import Figure
from pipelines.reporting.sections import CheckStyle
from pipelines.reporting.site import Missing
from pipelines.usecases.imputation import plots
from pipelines.usecases.imputation.params import ImputationParams
from pipelines.usecases.imputation.report_quality import newest
from pipelines.usecases.imputation.schemas import CHAINS, COLUMNS, DISPERSION, SENSITIVITY

#: Checks of the gate as people call them; the rest keep their name.
GATE_CHECKS = {
    "cells": CheckStyle("Hidden cells", 0, "\u2265"),
    "converged": CheckStyle("Chains that converged", 0, "="),
    "left_out": CheckStyle("Share of sensors not modelled", 2, "\u2264"),
    "coverage_90": CheckStyle("Coverage of 90 % intervals", 3, "\u2265"),
    "error_against_mean": CheckStyle("Squared error saved against means"),
    "error_against_champion": CheckStyle("Squared error saved against the champion"),
}
_SENSORS_SHOWN = 20


@dataclass(frozen=True)
class Basis:
    """What the newest training says of itself.

    Attributes
    ----------
    columns
        Preflight, sensors with a remark first.
    remarks
        How many have one.
    chains
        How EM ended.
    information, m_needed
        Fractions of missing information, and the most data sets that one calls for.
    paths
        EM from dispersed starts.
    sensitivity
        Shifts of missing cells, to choose from; Missing if there are no two lines to compare.
    """

    trained_for: date
    columns: list[dict[str, Any]]
    remarks: int
    chains: list[dict[str, Any]]
    information: Figure
    m_needed: int
    paths: Figure
    sensitivity: plots.Chosen | Missing


def basis(lake: Lake, as_of: date, params: ImputationParams) -> Basis | Missing:
    """Preflight, convergence, missing information, dispersed starts and sensitivity of the newest training."""
    columns, chains = newest(lake, COLUMNS, as_of), newest(lake, CHAINS, as_of)
    if columns.empty or chains.empty:
        return Missing("No model was trained yet.", f"millrace train imputation --as-of {as_of}")
    known = columns.dropna(subset=["missing_information"]).sort_values(
        ["missing_information", "sensor_id"], ascending=[False, True]
    )
    shown = known[known["missing_information"] > 0].head(_SENSORS_SHOWN)
    shown = shown if len(shown) else known.head(1)
    remarked = columns["problem"].notna()
    ordered = columns.assign(order=~remarked).sort_values(["order", "sensor_id"])
    return Basis(
        trained_for=columns["as_of"].iloc[0],
        columns=_dicts(ordered),
        remarks=int(remarked.sum()),
        # All rows first, then the chains by number.
        chains=sorted(_dicts(chains), key=lambda c: (c["chain"] != "all rows", len(c["chain"]), c["chain"])),
        information=plots.information(
            [str(name) for name in shown["sensor_id"]],
            shown["missing_information"].to_numpy(dtype=np.float64),
            shown["m_needed"].to_numpy(dtype=np.float64),
            m=params.model.m,
        ),
        m_needed=int(known["m_needed"].max()) if len(known) else 0,
        paths=_paths(lake, as_of),
        sensitivity=_sensitivity(lake, as_of),
    )


def _dicts(rows: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in rows.to_dict("records")]


def _paths(lake: Lake, as_of: date) -> Figure:
    rows = newest(lake, DISPERSION, as_of)
    paths = {}
    for start in sorted(rows["start"].unique().tolist()):
        own = rows[rows["start"] == start]
        paths[int(start)] = (
            own["iteration"].to_numpy(dtype=np.float64), own["position"].to_numpy(dtype=np.float64)
        )  # fmt: skip
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


def _sensitivity(lake: Lake, as_of: date) -> plots.Chosen | Missing:
    rows = newest(lake, SENSITIVITY, as_of)
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
        low, high, estimate = ([float(f"{v:.5g}") for v in own[name]] for name in ("low", "high", "estimate"))
        options.append(
            plots.Option(
                str(sensor), str(sensor), "Sensor", f"{own['words'].iloc[0][:1].upper()}{own['words'].iloc[0][1:]}.",
                [delta + delta[::-1], delta], [low + high[::-1], estimate],
            )
        )  # fmt: skip
    return plots.sensitivity(options)
