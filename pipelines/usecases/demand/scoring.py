"""Scoring: forecasts of every series from one origin, coherent over the hierarchy, with intervals.

What the backtest judges and what serves at night come from the same functions.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset
from numpy.typing import NDArray

from models.forecasting.aggregate import aggregate
from models.forecasting.competition import AVERAGE
from models.forecasting.forecaster import DemandForecaster, cells_of, known_features
from models.forecasting.levels import Floats, ends_by_level, level_sums, node_codes, nodes_of
from models.forecasting.local import forecast_group, pack, unpack
from models.forecasting.panel import Matrix, Panel
from models.forecasting.reconcile import Tree, reconcile
from pipelines.engines import Engine, GroupsLost, engine_of
from pipelines.errors import DataContractError
from pipelines.io.audit import Audit
from pipelines.io.lake import Lake, before_day
from pipelines.io.registry import ModelVersion
from pipelines.measure import Stopwatch
from pipelines.usecase import Output, Run
from pipelines.usecases.demand.crossed import OWN_MODEL, cross
from pipelines.usecases.demand.dataset import Origin, read_dataset
from pipelines.usecases.demand.orders import order_day
from pipelines.usecases.demand.params import DemandParams
from pipelines.usecases.demand.rows import Coherent, Rows, tables_beside
from pipelines.usecases.demand.schemas import AGGREGATES, FORECASTS, ORDERS, SUMMED, UPPER_LEVELS

log = logging.getLogger(__name__)

#: Days whose mean sales split a parent whose children are all forecast to sell nothing.
_SHARE_DAYS = 56


def predict(run: Run[DemandParams], forecaster: DemandForecaster, version: ModelVersion) -> Iterator[Output]:
    """Forecast all series of the day.

    A breached certificate is yielded too, because people must see it; it blocks the publication. Raises
    ``DataContractError`` if the day has no features, or its total left the last day's.
    """
    params, watch = run.params, Stopwatch()
    with watch.phase("read"):
        data = read_dataset(run)
        origin, profile = data.open(run.as_of), data.profile
    with engine_of(params.engine, run.settings, **params.engine_options) as engine:
        with watch.phase("forecast"):
            fallbacks = profile["fallback"].fillna("").to_numpy(object)
            found = serve(origin, profile, forecaster, fallbacks=fallbacks, engine=engine)
        with watch.phase("reconcile"):
            coherent = reconcile_both(origin, profile, found.units, forecaster, engine)
        with watch.phase("cross"):
            served = coherent.operational["sku_store"][:, 1:]
            crossed = cross(origin.panel, profile, served, params.crossed.max_series, own_sales(engine))
        with watch.phase("order"):
            orders = order_day(run, origin, profile, found.units, forecaster)
    rows = Rows(run.as_of, version.label, params.horizon_days)
    tables = tables_beside(rows, coherent, crossed)
    nodes = {name: profile[name].to_numpy(object) for name in ("store_id", "sku_id", "segment")}
    nodes |= {"model": found.model, "reason": found.reason}
    forecasts = rows.daily(FORECASTS, nodes, coherent.quantities("sku_store"))
    # Before any commit: a refused day must not leave its totals for tomorrow to be compared with.
    _check_total(run.lake, run.as_of, forecasts, params.max_total_change)
    metadata = {"data_versions": data.versions}
    for table, found_rows in tables.items():
        yield Output(table, found_rows, metadata=metadata)
    # A day that is scored again and cannot be ordered for any more must not keep its orders.
    ordered = ORDERS.arrow_schema.empty_table() if orders.rows is None else orders.rows
    yield Output(ORDERS, ordered, metadata=metadata)
    models = pd.Series(found.model).value_counts()
    yield Output(
        FORECASTS,
        forecasts,
        audits=[_complete(len(profile), params.horizon_days)],
        metadata=metadata,
        record={
            "series": len(profile),
            "fallbacks": int(np.char.startswith(found.model.astype(str), "fallback").sum()),
            "models": {str(name): int(count) for name, count in models.items()},
            "units": round(float(coherent.operational["national"][:, 1:].sum()), 1),
            "crossed": {
                "series": len(crossed.grouping),
                "reconciled": crossed.certificates["reconciled"].words,
            },
            "orders": orders.record,
            "certificates_ok": all(certificate.ok for certificate in coherent.certificates.values()),
            "seconds": {name: round(seconds, 1) for name, seconds in watch.seconds.items()},
        },
    )


# -------------------------------------------------------------------------------------------- series


@dataclass(frozen=True)
class Forecasts:
    """Forecasts of n series, by one model or by what serves."""

    #: Shape (n, H); NaN in rows that were not asked for.
    units: Matrix
    #: Model that made each forecast (a fallback where the one asked for could not), and why.
    model: NDArray[np.object_]
    reason: NDArray[np.object_]
    #: Cost of a series.
    seconds: float = float("nan")

    @classmethod
    def none(cls, panel: Panel, seconds: float) -> Forecasts:
        """Nothing asked for yet, to be filled."""
        n = len(panel)
        units = np.full((n, panel.horizon), np.nan, dtype=np.float32)
        return cls(units, np.full(n, "", dtype=object), np.full(n, "", dtype=object), seconds)


def serve(
    origin: Origin,
    profile: pd.DataFrame,
    forecaster: DemandForecaster,
    *,
    fallbacks: NDArray[np.object_],
    engine: Engine,
) -> Forecasts:
    """Forecast every series by the champion of its cell or, where ``fallbacks`` is not empty, by that fallback.

    Every series gets a forecast: one that no model can be fitted to has a named fallback, and where a model
    fails on a series, the reason says so.
    """
    cells, named = cells_of(profile), fallbacks != ""
    models = [(fallbacks[i],) if named[i] else forecaster.models_of(cell) for i, cell in enumerate(cells)]
    rows_of: dict[str, list[int]] = {}
    for row, names in enumerate(models):
        for name in names:
            rows_of.setdefault(name, []).append(row)
    answers = run_models(
        origin,
        {name: np.array(rows, dtype=np.intp) for name, rows in rows_of.items()},
        boosters=forecaster.boosters or {},
        orders=forecaster.orders_of(profile),
        engine=engine,
    )
    total = np.zeros((len(profile), origin.panel.horizon), dtype=np.float32)
    for name, rows in rows_of.items():
        total[rows] += answers[name].units[rows]
    share = np.array([len(names) for names in models], dtype=np.float32)[:, None]
    words = forecaster.words or {}
    used = [answers[names[0]].model[i] if len(names) == 1 else AVERAGE for i, names in enumerate(models)]
    reason = [
        f"champion of {cells[i]}: {words.get(cells[i], 'no backtest of this cell yet')}"
        if not named[i] and used[i] in (names[0], AVERAGE)
        else answers[names[0]].reason[i]
        for i, names in enumerate(models)
    ]
    return Forecasts(total / share, np.array(used, dtype=object), np.array(reason, dtype=object))


def run_models(
    origin: Origin,
    wanted: Mapping[str, NDArray[np.intp]],
    *,
    boosters: Mapping[str, Any],
    orders: Sequence[str],
    engine: Engine,
) -> dict[str, Forecasts]:
    """Run models on chosen rows of the panel.

    Global models predict all their series at once here; the others run in the engine. ``orders`` holds the
    SARIMA order of each series of the panel, ``""`` where none is known.
    """
    answers = run_boosters(origin, {m: rows for m, rows in wanted.items() if m in boosters}, boosters)
    local = {model: rows for model, rows in wanted.items() if model not in boosters and len(rows)}
    return answers | run_local(origin.panel, local, orders=orders, engine=engine)


def own_sales(engine: Engine) -> Callable[[Panel], Floats]:
    """Function that forecasts crossed groups from their own sales, from tomorrow on."""

    def forecast(groups: Panel) -> Floats:
        answers = run_local(groups, {OWN_MODEL: np.arange(len(groups))}, orders=None, engine=engine)
        return np.asarray(answers[OWN_MODEL].units[:, 1:], dtype=np.float64)

    return forecast


def run_local(
    panel: Panel, wanted: Mapping[str, NDArray[np.intp]], *, orders: Sequence[str] | None, engine: Engine
) -> dict[str, Forecasts]:
    """Run models that are fitted one series at a time, in the engine."""
    if not wanted:
        return {}
    parts = []
    for model, rows in wanted.items():
        some = [orders[row] for row in rows] if orders is not None else None
        packed = pack(panel.take(rows), model, some)
        parts.append(packed.assign(row=rows[packed["row"].to_numpy()]))
    packed = pd.concat(parts, ignore_index=True)
    try:
        result = engine.map_groups(forecast_group, packed, key="group")
    except GroupsLost as error:
        result = _instead(packed, error)
    answers = {}
    for model, rows in wanted.items():
        own = result[result["model"] == model]
        first = own[own["step"] == 0].sort_values("row")
        answers[model] = answer = Forecasts.none(panel, float(first["seconds"].mean()))
        at = first["row"].to_numpy()
        answer.units[at] = unpack(own)
        answer.model[at] = first["used"].to_numpy(object)
        answer.reason[at] = first["reason"].to_numpy(object)
        log.info("%s forecast %d series, %.1f ms each", model, len(rows), answer.seconds * 1000)
    return answers


def _instead(packed: pd.DataFrame, error: GroupsLost) -> pd.DataFrame:
    """Forecast the series of lost groups by the same weekday, in this process: no series goes without."""
    log.error("%s; their series are forecast by seasonal_naive", error)
    lost = packed[packed["group"].isin(error.groups)]
    instead = forecast_group(lost.assign(model="seasonal_naive"))
    asked = lost.set_index("row")["model"]
    words = "the process that fitted it died: " + " ".join(str(error).split())[:120]
    instead = instead.assign(model=instead["row"].map(asked), reason=words)
    return pd.concat([error.rest, instead], ignore_index=True)


def run_boosters(
    origin: Origin, wanted: Mapping[str, NDArray[np.intp]], boosters: Mapping[str, Any]
) -> dict[str, Forecasts]:
    """Predict by global models; the features are made once for all of them."""
    if not any(len(rows) for rows in wanted.values()):
        return {}
    panel = origin.panel
    rows = np.unique(np.concatenate(list(wanted.values())))
    started = time.perf_counter()
    X = origin.features(np.repeat(rows, panel.horizon), np.tile(np.arange(panel.horizon), len(rows)))
    shared = time.perf_counter() - started
    closed = ~panel.open[rows, panel.n_history :]
    answers = {}
    for name, own in wanted.items():
        started = time.perf_counter()
        predicted = boosters[name].predict(known_features(boosters[name], X))
        values = np.asarray(predicted, dtype=np.float32).reshape(len(rows), panel.horizon)
        seconds = (time.perf_counter() - started + shared) / len(rows)
        values = np.where(closed, np.float32(0), np.maximum(values, 0))
        answers[name] = answer = Forecasts.none(panel, seconds)
        mine = np.isin(rows, own)
        answer.units[rows[mine]] = values[mine]
        answer.model[own], answer.reason[own] = name, "predicted"
        log.info("%s forecast %d series, %.2f ms each", name, len(own), seconds * 1000)
    return answers


# -------------------------------------------------------------------------------------------- levels


def reconcile_both(
    origin: Origin, profile: pd.DataFrame, units: Matrix, forecaster: DemandForecaster, engine: Engine
) -> Coherent:
    """Make the series' forecasts, shape (n, H), coherent: bottom-up for orders and top-down for plans."""
    tree = Tree.from_frame(profile)
    leaves = np.asarray(units, dtype=np.float64)
    bottom_up = reconcile(tree, {"sku_store": leaves}, method="bottom_up")
    own = _base_forecasts(origin.panel, profile, tree, forecaster.levels or {}, engine)
    recent = np.nan_to_num(origin.panel.y[:, -_SHARE_DAYS:]).mean(axis=1)
    top_down = reconcile(tree, {**bottom_up.values, **own}, method="top_down", shares=recent)

    def with_skus(values: Mapping[str, Floats]) -> dict[str, Floats]:
        return {**values, "sku": level_sums(profile, values["sku_store"], "sku")}

    operational = with_skus(bottom_up.values)
    upper = {level: np.array([str(name) for name in tree.ids(level)], dtype=object) for level in UPPER_LEVELS}
    return Coherent(
        nodes={**upper, "sku": node_codes(profile, "sku")[0], "sku_store": nodes_of(profile, "sku_store")},
        operational=operational,
        strategic=with_skus(top_down.values),
        intervals=ends_by_level(forecaster.intervals or {}, operational, profile),
        certificates={"operational": bottom_up.certificate, "strategic": top_down.certificate},
    )


def _base_forecasts(
    panel: Panel, profile: pd.DataFrame, tree: Tree, models: Mapping[str, str], engine: Engine
) -> dict[str, Floats]:
    """Forecasts of the nodes of upper levels by models of their own, in the order of the tree's nodes.

    Levels whose model is the sum of the series are left out.
    """
    found = {}
    for level, model in models.items():
        if model == SUMMED:
            continue
        nodes = aggregate(panel, nodes_of(profile, level))
        answer = run_local(nodes, {model: np.arange(len(nodes))}, orders=None, engine=engine)[model]
        place = {name: row for row, name in enumerate(nodes.series["store_id"])}
        order = [place[str(name)] for name in tree.ids(level)]
        found[level] = np.asarray(answer.units[order], dtype=np.float64)
    return found


# --------------------------------------------------------------------------------------------- audits


def _check_total(lake: Lake, as_of: date, forecasts: pa.Table, max_change: float) -> None:
    """Refuse a day whose total left the last day's by too much.

    The alarm of monitoring is told at a smaller change; this stops the commit.
    """
    national = before_day(as_of) & (pa_dataset.field("level") == "national")
    earlier = lake.read(AGGREGATES, columns=["as_of", "operational"], where=national, missing_ok=True)
    if not earlier.num_rows:
        return
    totals = earlier.group_by("as_of").aggregate([("operational", "sum")]).sort_by("as_of")
    last = float(totals["operational_sum"][-1].as_py())
    total = float(pc.sum(forecasts["operational"]).as_py() or 0.0)
    if abs(total - last) > max_change * last:
        raise DataContractError(
            f"{FORECASTS.name}: not published, the previous version stays. The total of {total:.0f} units differs "
            f"from the last day's {last:.0f} by more than {max_change:.0%} (max_total_change in params.yaml)"
        )


def _complete(series: int, horizon_days: int) -> Audit:
    """Refuse a day on which a series lacks a day."""

    def audit(staged: duckdb.DuckDBPyRelation) -> list[str]:
        rows = staged.aggregate("count(*)").fetchall()[0][0]
        if rows == series * horizon_days:
            return []
        return [f"{series} series x {horizon_days} days must have rows, got {rows}"]

    return audit
