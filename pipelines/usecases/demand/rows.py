"""Coherent forecasts of a day as rows of the tables that hold them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.schemas import Table
from models.forecasting.conformal import Ends
from models.forecasting.levels import Floats
from models.forecasting.reconcile import Certificate
from pipelines.usecases.demand.crossed import Crossed
from pipelines.usecases.demand.schemas import (
    AGGREGATE_LEVELS,
    AGGREGATES,
    CERTIFICATES,
    CROSSED,
    CROSSED_CERTIFICATES,
    CROSSED_LEVELS,
    QUANTITIES,
    WEEKLY,
)

Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Coherent:
    """Coherent forecasts by level, each of shape (nodes, H)."""

    #: Names; those of the series are ``<store>/<product>`` in the order of the profile.
    nodes: Mapping[str, NDArray[np.object_]]
    #: Bottom-up and top-down. The level ``sku`` is a product over all stores.
    operational: Mapping[str, Floats]
    strategic: Mapping[str, Floats]
    #: Ends of the prediction intervals of ``operational`` by level and nominal coverage in percent.
    intervals: Mapping[str, Mapping[int, Ends]]
    #: By forecast.
    certificates: Mapping[str, Certificate]

    def named(self, level: str) -> dict[str, NDArray[np.object_]]:
        """Level and name of each of its nodes."""
        return {"level": np.full(len(self.nodes[level]), level, dtype=object), "node": self.nodes[level]}

    def quantities(self, level: str) -> dict[str, Floats]:
        """Published quantities of a level, one value per node and day; column 0 is today, which is left out."""
        columns = {"operational": self.operational[level], "strategic": self.strategic[level]}
        for nominal, (lower, upper) in self.intervals[level].items():
            columns |= {f"lower_{nominal}": lower, f"upper_{nominal}": upper}
        return {name: np.ascontiguousarray(columns[name][:, 1:]).ravel() for name in QUANTITIES}


class Rows:
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


def tables_beside(rows: Rows, coherent: Coherent, crossed: Crossed) -> dict[Table, pa.Table]:
    """Rows of every table but that of the series themselves, in the order in which they are committed."""
    return {
        AGGREGATES: _aggregates(rows, coherent),
        WEEKLY: _weekly(rows, coherent),
        CERTIFICATES: _certificates(rows, CERTIFICATES, coherent.certificates),
        CROSSED: _crossed(rows, crossed),
        CROSSED_CERTIFICATES: _certificates(rows, CROSSED_CERTIFICATES, crossed.certificates),
    }


def _aggregates(rows: Rows, coherent: Coherent) -> pa.Table:
    return pa.concat_tables(
        [
            rows.daily(AGGREGATES, coherent.named(level), coherent.quantities(level))
            for level in AGGREGATE_LEVELS
        ]
    )


def _weekly(rows: Rows, coherent: Coherent) -> pa.Table:
    """Sums over J+1..J+7 and J+8..J+14; a horizon that ends earlier has a shorter last week."""
    tables = []
    for level, names in coherent.nodes.items():
        for week, start in enumerate(range(1, rows.horizon_days + 1, 7), start=1):
            stop = min(start + 7, rows.horizon_days + 1)
            columns = {
                **coherent.named(level),
                "week": np.full(len(names), week),
                "starts_on": np.full(len(names), rows.today + start),
                "ends_on": np.full(len(names), rows.today + stop - 1),
                "operational": coherent.operational[level][:, start:stop].sum(axis=1),
                "strategic": coherent.strategic[level][:, start:stop].sum(axis=1),
            }
            tables.append(rows.table(WEEKLY, columns))
    return pa.concat_tables(tables)


def _crossed(rows: Rows, crossed: Crossed) -> pa.Table:
    def of(level: str) -> pa.Table:
        names, count = crossed.grouping.keys[level], len(crossed.operational[level])
        nodes = {name: np.full(count, "all", dtype=object) for name in ("region", "category", "sku_id")}
        nodes |= {"level": np.full(count, level, dtype=object)}
        nodes |= dict(zip(CROSSED_LEVELS[level], names, strict=False))  # the nation has a name and no column
        views = {"operational": crossed.operational, "reconciled": crossed.reconciled}
        return rows.daily(CROSSED, nodes, {name: view[level].ravel() for name, view in views.items()})

    return pa.concat_tables([of(level) for level in CROSSED_LEVELS])


def _certificates(rows: Rows, table: Table, certificates: Mapping[str, Certificate]) -> pa.Table:
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
