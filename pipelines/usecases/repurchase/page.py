"""Repurchase, page: who comes this week and with what, then how far that can be trusted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset

from models.repurchase.metrics import list_metrics
from pipelines.io.frames import by_candidate
from pipelines.io.lake import Lake, on_day, until_day
from pipelines.reporting.figure import Figure
from pipelines.reporting.page import Missing
from pipelines.reporting.tables import Grid, GridColumn
from pipelines.reporting.words import count, short_day, weekday
from pipelines.usecase import Run
from pipelines.usecases.repurchase import plots
from pipelines.usecases.repurchase.dataset import ORDERS, product_names
from pipelines.usecases.repurchase.params import RepurchaseParams
from pipelines.usecases.repurchase.schemas import (
    BASKET_VALIDATION,
    CURVES,
    NEXT_ORDERS,
    REALISED,
    TIMING_VALIDATION,
    label,
)

Array = npt.NDArray[np.float64]

#: Share of returns that a window is made to hold.
NOMINAL = 0.8

_BINS = 10

#: Days of realised predictions shown.
_DAYS = 60

#: Largest number of repeated products of each group, and how people read it.
_SIZES = ((0, "none"), (2, "1–2"), (5, "3–5"), (10, "6–10"), (10**9, "over 10"))  # noqa: RUF001


#: Customers on the page; all of them are in Salesforce, DynamoDB and the lake.
SHOWN = 2_000

_WEEK = 7

_EXPORTED = (
    "customer_id", "return_probability", "expected_on", "window_from", "window_to", "products",
    "product_1", "product_2", "product_3",
)  # fmt: skip

GRID = Grid(
    name="repurchase-list",
    caption=(
        "Customers expected within the next seven days, likeliest first. A chance of 80 % means: of 100 such customers, "
        "80 order within the horizon. Where the list has length 0, the best guess is that nothing is bought again, and "
        "the products are only the likeliest."
    ),
    columns=(
        GridColumn("Customer", "two_lines", ("customer_id", "customer_line"), "18%"),
        GridColumn("Chance of an order", "percent", ("return_probability",), "12%", "Chance"),
        GridColumn("Expected", "two_lines", ("expected_on", "window"), "22%"),
        GridColumn("Likeliest products", "list", ("product_1", "product_2", "product_3"), "36%"),
        GridColumn("Length of the list", "number", ("products",), "12%", "Length"),
    ),
    filters={"weekday": ("Expected on a", None)},
    search=("customer_id", "product_1", "product_2", "product_3"),
    export={name: name for name in _EXPORTED}
    | {"return_probability": "chance", "products": "products_on_list"},
    hint="customer, product",
)


def sections(run: Run[RepurchaseParams]) -> Mapping[str, object]:
    """What ``page.html.j2`` shows."""
    lake, as_of = run.lake, run.as_of
    return {
        "headline": headline(lake, as_of),
        "realised": realised(lake, as_of),
        "validation": validation(lake, as_of),
        "horizon": run.params.horizon_days,
        "grid": GRID,
        "nominal": NOMINAL,
    }


@dataclass(frozen=True)
class Headline:
    """The figures above the list, the list, and who comes when."""

    #: Customers in scope.
    customers: int
    model_version: str
    #: Expected orders within the horizon: sum of the probabilities.
    expected: float
    #: The same of the customers expected within seven days, and how many they are.
    this_week: float
    week_customers: int
    #: Customers who are more likely not to come within the horizon: those to win back.
    unsure: int
    #: Customers of whom no product is expected again, and mean size of the other lists.
    nothing: int
    mean_products: float
    #: Data of the grid, and number of its rows.
    payload: dict[str, Any]
    shown: int
    arrivals: Figure


def headline(lake: Lake, as_of: date) -> Headline | Missing:
    """Predictions of the day, and the customers expected first with their ids in the shop."""
    day = on_day(as_of)
    columns = ["return_probability", "expected_on", "products", "model_version"]
    rows = lake.read(NEXT_ORDERS, columns=columns, where=day, missing_ok=True)
    if not rows.num_rows:
        return Missing(f"There are no predictions of {as_of}.", f"millrace score repurchase --as-of {as_of}")
    chance = rows["return_probability"].to_numpy()
    ahead = np.array([(each - as_of).days for each in rows["expected_on"].to_pylist()])
    named = rows["products"].to_numpy()
    soon = ahead < _WEEK
    counts = np.bincount(np.clip(ahead, 0, None), weights=chance).astype(np.float64)
    days = [as_of + timedelta(days=number) for number in range(len(counts))]
    listed = _list(lake, as_of)
    return Headline(
        customers=rows.num_rows,
        model_version=rows["model_version"][0].as_py(),
        expected=float(chance.sum()),
        this_week=float(chance[soon].sum()),
        week_customers=int(soon.sum()),
        unsure=int((chance < 0.5).sum()),
        nothing=int((named == 0).sum()),
        mean_products=float(named[named > 0].mean()) if (named > 0).any() else 0.0,
        payload=GRID.payload(listed),
        shown=listed.num_rows,
        arrivals=plots.arrivals(days, counts, [each.weekday() >= 5 for each in days]),
    )


def _list(lake: Lake, as_of: date) -> pa.Table:
    """Rows of the grid: the likeliest of those expected within a week."""
    until = as_of + timedelta(days=_WEEK)
    where = on_day(as_of) & (pa_dataset.field("expected_on") < until)
    columns = [
        "customer_key", "return_probability", "expected_on", "window_from", "window_to", "orders",
        "days_since_last", "products", "top_products",
    ]  # fmt: skip
    rows = lake.read(NEXT_ORDERS, columns=columns, where=where)
    order = [("return_probability", "descending"), ("customer_key", "ascending")]
    rows = rows.sort_by(order).slice(0, SHOWN)
    ids = customer_ids(lake, rows["customer_key"])
    names = product_names(lake, as_of)
    shown = []
    for row in rows.to_pylist():
        likeliest = [names.get(each, each) for each in json.loads(row["top_products"])[:3]]
        likeliest += [""] * (3 - len(likeliest))
        day = weekday(row["expected_on"])
        shown.append(
            {
                "customer_id": ids.get(row["customer_key"], row["customer_key"]),
                "customer_line": f"{count(row['orders'], 'order')}, last {_ago(row['days_since_last'])}",
                "return_probability": row["return_probability"],
                "expected_on": str(row["expected_on"]),
                "window": f"{day}; between {short_day(row['window_from'])} and {short_day(row['window_to'])}",
                "weekday": day,
                "window_from": str(row["window_from"]),
                "window_to": str(row["window_to"]),
                "products": row["products"],
                **{f"product_{place}": name for place, name in enumerate(likeliest, start=1)},
            }
        )
    return pa.Table.from_pylist(shown, schema=_SHOWN)


_SHOWN = pa.schema(
    [
        ("customer_id", pa.string()), ("customer_line", pa.string()), ("return_probability", pa.float64()),
        ("expected_on", pa.string()), ("window", pa.string()), ("weekday", pa.string()),
        ("window_from", pa.string()), ("window_to", pa.string()), ("products", pa.int64()),
        ("product_1", pa.string()), ("product_2", pa.string()), ("product_3", pa.string()),
    ]
)  # fmt: skip


def customer_ids(lake: Lake, keys: pa.ChunkedArray) -> dict[str, str]:
    """Natural ids of some customers, by pseudonym."""
    if not lake.exists(ORDERS):
        return {}
    mine = pc.is_in(pa_dataset.field("customer_key"), value_set=pc.unique(keys))
    rows = lake.read(ORDERS, columns=["customer_key", "customer_id"], where=mine)
    pairs = rows.group_by(["customer_key", "customer_id"]).aggregate([])
    return dict(zip(pairs["customer_key"].to_pylist(), pairs["customer_id"].to_pylist(), strict=True))


def _ago(days: int) -> str:
    return {0: "today", 1: "yesterday"}.get(days, f"{days} days ago")


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
    """Everything about the newest training."""

    #: Its day, and the past days that were judged.
    trained_for: date
    snapshots: list[date]
    #: Customers judged, and of these, who came back while it was watched.
    customers: int
    returned: int
    timing: list[Timing]
    lists: list[Lists]
    figures: list[Figure]


def validation(lake: Lake, as_of: date) -> Validation | Missing:
    """Judgement of the newest training up to a day."""
    day = lake.newest_day(TIMING_VALIDATION, as_of)
    if day is None:
        return Missing("No model was judged out of time yet.", f"millrace train repurchase --as-of {as_of}")
    where = on_day(day)
    timing = lake.read(TIMING_VALIDATION, where=where)
    baskets = lake.read(BASKET_VALIDATION, where=where, missing_ok=True)
    curves = lake.read(CURVES, where=where, missing_ok=True)
    parts = by_candidate(timing)
    first = next(iter(parts.values()))
    rows = {name: _timing(name, part) for name, part in parts.items()}
    return Validation(
        trained_for=day,
        snapshots=sorted(pc.unique(timing["snapshot"]).to_pylist()),
        customers=first.num_rows,
        returned=first.num_rows - first["days_to_next"].null_count,
        timing=list(rows.values()),
        lists=[_lists(name, part) for name, part in by_candidate(baskets).items()],
        figures=[_gaps(parts, rows), *_probabilities(curves), *_by_size(baskets)],
    )


def _floats(table: pa.Table, name: str) -> Array:
    return np.asarray(table[name].cast(pa.float64()).to_numpy(), dtype=np.float64)


def _timing(name: str, part: pa.Table) -> Timing:
    back = part.filter(pc.is_valid(part["days_to_next"]))
    came, said = _floats(back, "days_to_next"), _floats(back, "expected_days")
    low, high = _floats(back, "low_days"), _floats(back, "high_days")
    windows = np.isfinite(low) & np.isfinite(high)
    inside = (came >= low) & (came <= high)
    return Timing(
        label=label(name),
        returns=back.num_rows,
        mae_days=float(np.abs(said - came).mean()) if len(came) else float("nan"),
        bias_days=float((said - came).mean()) if len(came) else float("nan"),
        coverage=float(inside[windows].mean()) if windows.any() else None,
        width_days=float((high - low)[windows].mean()) if windows.any() else None,
    )


def _lists(name: str, part: pa.Table) -> Lists:
    named, hits, repeated = (_floats(part, column) for column in ("named", "hits", "repeated"))
    return Lists(label(name), part.num_rows, list_metrics(named, hits, repeated))


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
            for name, part in by_candidate(mine).items()
        }
        if found:
            figures += [plots.reliability(found, kind=kind), plots.gains(found, kind=kind)]
    return figures


def _by_size(baskets: pa.Table) -> list[Figure]:
    """F1 of the lists by how many products were bought again."""
    parts = by_candidate(baskets)
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


def realised(lake: Lake, as_of: date) -> list[Figure] | Missing:
    """What became of the predictions of the last days whose horizon is over."""
    where = until_day(as_of) & (pa_dataset.field("group") == "all")
    rows = lake.read(REALISED, where=where, missing_ok=True).sort_by("as_of").to_pylist()[-_DAYS:]
    rows = [row for row in rows if row["customers"]]
    if not rows:
        return Missing(
            "No predictions are old enough yet to say what became of them: their horizon must be over.",
            f"millrace monitor repurchase --as-of {as_of}",
        )

    def share(part: str, whole: str) -> Any:
        return np.array([row[part] / row[whole] if row[whole] else np.nan for row in rows], dtype=np.float64)

    found = {
        "returned": share("returned", "customers"),
        "expected": share("expected_returns", "customers"),
        "in_window": share("in_window", "returned"),
        "f1": share("f1_sum", "judged_lists"),
        "expected_f1": share("expected_f1_sum", "judged_lists"),
    }
    return plots.realised([row["as_of"] for row in rows], found)
