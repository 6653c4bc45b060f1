"""Scoring: forecasts of every series, coherent over the hierarchy, with intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset
from numpy.typing import NDArray

from features.schemas import Table
from models.forecasting.forecaster import DemandForecaster
from models.forecasting.reconcile import Certificate
from pipelines.engines import engine_of
from pipelines.errors import DataContractError
from pipelines.io.audit import Audit
from pipelines.io.lake import Lake, before_day
from pipelines.io.registry import ModelVersion
from pipelines.measure import Stopwatch
from pipelines.usecase import Output, Run
from pipelines.usecases.demand.coherence import Coherent, reconcile_both
from pipelines.usecases.demand.crossed import Crossed, cross
from pipelines.usecases.demand.dataset import read_dataset
from pipelines.usecases.demand.forecasting import Forecasts, orders_of_series, serve
from pipelines.usecases.demand.params import DemandParams
from pipelines.usecases.demand.schemas import (
    AGGREGATE_LEVELS,
    AGGREGATES,
    CERTIFICATES,
    CROSSED,
    CROSSED_CERTIFICATES,
    CROSSED_LEVELS,
    FORECASTS,
    INTERVALS,
    WEEKLY,
)

Columns = Mapping[str, NDArray[Any]]


def predict(run: Run[DemandParams], forecaster: DemandForecaster, version: ModelVersion) -> Iterator[Output]:
    """Forecast all series of the day.

    A breached certificate is yielded too, because people must see it; it blocks the publication.

    Raises
    ------
    DataContractError
        The day has no features, or its total left the last day's.
    """
    params, watch = run.params, Stopwatch()
    with watch.phase("read"):
        data = read_dataset(run)
        origin, profile = data.open(run.as_of), data.profile
    with engine_of(params.engine, run.settings, **params.engine_options) as engine:
        with watch.phase("forecast"):
            found = serve(
                origin,
                profile,
                forecaster,
                fallbacks=profile["fallback"].fillna("").to_numpy(object),
                orders=orders_of_series(profile, forecaster.orders or {}),
                engine=engine,
            )
        with watch.phase("reconcile"):
            coherent = reconcile_both(origin, profile, found.units, forecaster, engine)
        with watch.phase("cross"):
            served = coherent.operational["sku_store"][:, 1:]
            crossed = cross(origin.panel, profile, served, params.crossed.max_series, engine)
    rows = _Rows(run.as_of, version.label, params.horizon_days)
    tables = {
        AGGREGATES: _aggregates(rows, coherent),
        WEEKLY: _weekly(rows, coherent),
        CERTIFICATES: _certificates(rows, CERTIFICATES, coherent.certificates),
        CROSSED: _crossed(rows, crossed),
        CROSSED_CERTIFICATES: _certificates(rows, CROSSED_CERTIFICATES, crossed.certificates),
    }
    forecasts = _forecasts(rows, profile, found, coherent)
    # Before any commit: a refused day must not leave its totals for tomorrow to be compared with.
    _check_total(run.lake, run.as_of, forecasts, params.max_total_change)
    metadata = {"data_versions": data.versions}
    for table, found_rows in tables.items():
        yield Output(table, found_rows, metadata=metadata)
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
            "certificates_ok": all(certificate.ok for certificate in coherent.certificates.values()),
            "seconds": {name: round(seconds, 1) for name, seconds in watch.seconds.items()},
        },
    )


class _Rows:
    """Rows of nodes and days, in the types that tables declare."""

    def __init__(self, as_of: date, version: str, horizon_days: int) -> None:
        self.today, self.version, self.horizon_days = np.datetime64(as_of, "D"), version, horizon_days

    def table(self, declared: Table, columns: Columns) -> pa.Table:
        """Rows of a table; the day and the version are added."""
        count = len(next(iter(columns.values())))
        own = {"as_of": np.full(count, self.today), "model_version": np.full(count, self.version, object)}
        return pa.table({**own, **columns}, schema=declared.arrow_schema)

    def daily(self, declared: Table, nodes: Columns, quantities: Columns) -> pa.Table:
        """One row per node and published day: tomorrow on. Today is forecast so that nothing is skipped."""
        ahead, count = np.arange(1, self.horizon_days + 1), len(next(iter(nodes.values())))
        days = {"ds": np.tile(self.today + ahead, count), "horizon": np.tile(ahead, count)}
        repeated = {name: np.repeat(values, len(ahead)) for name, values in nodes.items()}
        return self.table(declared, {**repeated, **days, **quantities})


def _quantities(coherent: Coherent, level: str) -> dict[str, NDArray[np.float64]]:
    """Published quantities of a level, one value per node and day."""
    columns = {
        "operational": coherent.operational[level],
        "strategic": coherent.strategic[level],
        **{
            f"{side}_{nominal}": coherent.intervals[level][nominal][side == "upper"]
            for nominal in INTERVALS
            for side in ("lower", "upper")
        },
    }
    return {name: np.ascontiguousarray(values[:, 1:]).ravel() for name, values in columns.items()}


def _forecasts(rows: _Rows, profile: pd.DataFrame, found: Forecasts, coherent: Coherent) -> pa.Table:
    nodes = {name: profile[name].to_numpy(object) for name in ("store_id", "sku_id", "segment")}
    nodes |= {"model": found.model, "reason": found.reason}
    return rows.daily(FORECASTS, nodes, _quantities(coherent, "sku_store"))


def _aggregates(rows: _Rows, coherent: Coherent) -> pa.Table:
    def of(level: str) -> pa.Table:
        names = coherent.nodes[level]
        nodes = {"level": np.full(len(names), level, dtype=object), "node": names}
        return rows.daily(AGGREGATES, nodes, _quantities(coherent, level))

    return pa.concat_tables([of(level) for level in AGGREGATE_LEVELS])


def _weekly(rows: _Rows, coherent: Coherent) -> pa.Table:
    """Sums over J+1..J+7 and J+8..J+14; a horizon that ends earlier has a shorter last week."""

    def of(level: str, week: int, start: int) -> pa.Table:
        names, stop = coherent.nodes[level], min(start + 7, rows.horizon_days + 1)
        columns = {
            "level": np.full(len(names), level, dtype=object),
            "node": names,
            "week": np.full(len(names), week),
            "starts_on": np.full(len(names), rows.today + start),
            "ends_on": np.full(len(names), rows.today + stop - 1),
            "operational": coherent.operational[level][:, start:stop].sum(axis=1),
            "strategic": coherent.strategic[level][:, start:stop].sum(axis=1),
        }
        return rows.table(WEEKLY, columns)

    weeks = list(enumerate(range(1, rows.horizon_days + 1, 7), start=1))
    return pa.concat_tables([of(level, week, start) for level in coherent.nodes for week, start in weeks])


def _crossed(rows: _Rows, crossed: Crossed) -> pa.Table:
    def of(level: str) -> pa.Table:
        names, count = crossed.grouping.keys[level], len(crossed.operational[level])
        nodes = {name: np.full(count, "all", dtype=object) for name in ("region", "category", "sku_id")}
        nodes |= {"level": np.full(count, level, dtype=object)}
        nodes |= dict(zip(CROSSED_LEVELS[level], names, strict=False))  # the nation has a name and no column
        views = {"operational": crossed.operational, "reconciled": crossed.reconciled}
        return rows.daily(CROSSED, nodes, {name: view[level].ravel() for name, view in views.items()})

    return pa.concat_tables([of(level) for level in CROSSED_LEVELS])


def _certificates(rows: _Rows, table: Table, certificates: Mapping[str, Certificate]) -> pa.Table:
    found = certificates.values()
    columns = {
        "forecast": list(certificates),
        "method": [one.method for one in found],
        "max_incoherence": [one.incoherence for one in found],
        "relative_incoherence": [one.incoherence_relative for one in found],
        "optimality_residual": [one.residual_relative for one in found],
        "negatives": [one.negatives for one in found],
        "zero_parents": [one.split_by_shares + one.split_evenly for one in found],
        "ok": [one.ok for one in found],
        "words": [one.words for one in found],
    }
    return rows.table(table, {name: np.array(values) for name, values in columns.items()})


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
