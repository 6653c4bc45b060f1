"""Report, second part: how good dates, probabilities and lists were, out of time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset

from models.repurchase.metrics import list_metrics
from pipelines.io.lake import Lake
from pipelines.reporting.figure import Figure
from pipelines.reporting.sections import CheckStyle, newest_day
from pipelines.reporting.site import Missing
from pipelines.usecases.repurchase import plots
from pipelines.usecases.repurchase.schemas import BASKET_VALIDATION, CURVES, TIMING_VALIDATION

Array = npt.NDArray[np.float64]

#: Share of returns that a window is made to hold.
NOMINAL = 0.8

_BINS = 10

#: Simpler rules and the champion, as the gate's checks name them.
_RIVALS = ("champion", "median_gap", "bgnbd", "last_order", "most_frequent")

#: How the checks of the gate are shown.
GATE_CHECKS = {
    "returns": CheckStyle("Returns judged", 0, "≥"),
    "coverage": CheckStyle("Returns inside their window", 3, "≥"),
    "return_bias": CheckStyle("Probabilities of a return, mean error", 3, "within ±"),
    "product_bias": CheckStyle("Probabilities of products before calibration, mean error", 3, "within ±"),
    **{f"days_against_{name}": CheckStyle(f"Days saved against {plots.label(name)}", 2) for name in _RIVALS},
    **{f"f1_against_{name}": CheckStyle(f"F1 gained against {plots.label(name)}", 3) for name in _RIVALS},
}

#: Largest number of repeated products of each group, and how people read it.
_SIZES = ((0, "none"), (2, "1–2"), (5, "3–5"), (10, "6–10"), (10**9, "over 10"))  # noqa: RUF001


@dataclass(frozen=True)
class Timing:
    """Predicted days against what came, of one candidate."""

    label: str
    returns: int
    mae_days: float
    bias_days: float
    coverage: float | None
    width_days: float | None


@dataclass(frozen=True)
class Lists:
    """Lists against the orders that followed, of one candidate."""

    label: str
    orders: int
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Validation:
    """Everything about the newest training.

    Attributes
    ----------
    trained_for
        Its day.
    snapshots
        Past days that were judged.
    customers, returned
        Customers judged, and of these, who came back while it was watched.
    """

    trained_for: date
    snapshots: list[date]
    customers: int
    returned: int
    timing: list[Timing]
    lists: list[Lists]
    figures: list[Figure]


def validation(lake: Lake, as_of: date) -> Validation | Missing:
    """Judgement of the newest training up to a day."""
    day = newest_day(lake, TIMING_VALIDATION, as_of)
    if day is None:
        return Missing("No model was judged out of time yet.", f"millrace train repurchase --as-of {as_of}")
    where = pa_dataset.field("as_of") == day
    timing = lake.read(TIMING_VALIDATION, where=where)
    baskets = lake.read(BASKET_VALIDATION, where=where, missing_ok=True)
    curves = lake.read(CURVES, where=where, missing_ok=True)
    by_candidate = _split(timing)
    first = next(iter(by_candidate.values()))
    rows = {name: _timing(name, part) for name, part in by_candidate.items()}
    return Validation(
        trained_for=day,
        snapshots=sorted(pc.unique(timing["snapshot"]).to_pylist()),
        customers=first.num_rows,
        returned=first.num_rows - first["days_to_next"].null_count,
        timing=list(rows.values()),
        lists=[_lists(name, part) for name, part in _split(baskets).items()],
        figures=[
            _gaps(by_candidate, rows),
            *_probabilities(curves),
            *_by_size(baskets),
        ],
    )


def _split(table: pa.Table) -> dict[str, pa.Table]:
    """Parts by candidate: the models first, then simpler rules by name."""
    names = sorted(pc.unique(table["candidate"]).to_pylist())
    first = [name for name in ("challenger", "champion") if name in names]
    ordered = [*first, *(name for name in names if name not in first)]
    return {name: table.filter(pc.equal(table["candidate"], name)) for name in ordered}


def _floats(table: pa.Table, name: str) -> Array:
    return np.asarray(table[name].cast(pa.float64()).to_numpy(), dtype=np.float64)


def _timing(name: str, part: pa.Table) -> Timing:
    back = part.filter(pc.is_valid(part["days_to_next"]))
    came, said = _floats(back, "days_to_next"), _floats(back, "expected_days")
    low, high = _floats(back, "low_days"), _floats(back, "high_days")
    windows = np.isfinite(low) & np.isfinite(high)
    inside = (came >= low) & (came <= high)
    return Timing(
        label=plots.label(name),
        returns=back.num_rows,
        mae_days=float(np.abs(said - came).mean()) if len(came) else float("nan"),
        bias_days=float((said - came).mean()) if len(came) else float("nan"),
        coverage=float(inside[windows].mean()) if windows.any() else None,
        width_days=float((high - low)[windows].mean()) if windows.any() else None,
    )


def _lists(name: str, part: pa.Table) -> Lists:
    named, hits, repeated = (_floats(part, column) for column in ("named", "hits", "repeated"))
    return Lists(plots.label(name), part.num_rows, list_metrics(named, hits, repeated))


def _gaps(parts: Mapping[str, pa.Table], rows: Mapping[str, Timing]) -> Figure:
    bins: dict[str, dict[str, Array]] = {}
    for name, part in parts.items():
        back = part.filter(pc.is_valid(part["days_to_next"]))
        came, said = _floats(back, "days_to_next"), _floats(back, "expected_days")
        if len(came):
            bins[name] = _quartiles(came, said)
    coverage = next((row.coverage for row in rows.values() if row.coverage is not None), float("nan"))
    return plots.gap_calibration(bins, coverage=coverage, nominal=NOMINAL)


def _quartiles(came: Array, said: Array) -> dict[str, Array]:
    """Quartiles of what came, by bins of equally many predictions."""
    order = np.argsort(said, kind="stable")
    groups = [part for part in np.array_split(order, _BINS) if len(part)]
    return {
        "predicted": np.array([said[part].mean() for part in groups]),
        "low": np.array([np.quantile(came[part], 0.25) for part in groups]),
        "median": np.array([np.quantile(came[part], 0.5) for part in groups]),
        "high": np.array([np.quantile(came[part], 0.75) for part in groups]),
        "rows": np.array([float(len(part)) for part in groups]),
    }


def _probabilities(curves: pa.Table) -> list[Figure]:
    """Reliability and gains, of coming back and of products."""
    figures = []
    for kind in ("return", "product"):
        mine = curves.filter(pc.equal(curves["kind"], kind)).sort_by("bin")
        found: dict[str, dict[str, Any]] = {
            name: {column: _floats(part, column) for column in ("rows", "predicted", "observed")}
            for name, part in _split(mine).items()
        }
        if found:
            figures += [plots.reliability(found, kind=kind), plots.gains(found, kind=kind)]
    return figures


def _by_size(baskets: pa.Table) -> list[Figure]:
    """F1 of the lists by how many products were bought again."""
    parts = _split(baskets)
    if not parts:
        return []
    bounds = np.array([bound for bound, _ in _SIZES])
    groups = {name: np.searchsorted(bounds, _floats(part, "repeated")) for name, part in parts.items()}
    first = next(iter(groups.values()))
    shown = [place for place in range(len(_SIZES)) if (first == place).any()]
    f1 = {
        name: np.array([_mean(_floats(part, "f1")[groups[name] == place]) for place in shown])
        for name, part in parts.items()
    }
    rows = [int((first == place).sum()) for place in shown]
    return [plots.f1_by_size([_SIZES[place][1] for place in shown], f1, rows)]


def _mean(values: Array) -> float:
    return float(values.mean()) if len(values) else float("nan")
