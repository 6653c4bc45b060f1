"""Demand, scoring: forecasts of every series, coherent over the hierarchy, with intervals."""

from __future__ import annotations

import logging
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset
from numpy.typing import NDArray

from models.forecasting.forecaster import DemandForecaster
from models.forecasting.reconcile import Certificate
from pipelines.engines import engine_of
from pipelines.errors import DataContractError
from pipelines.io.audit import Audit
from pipelines.io.hashing import content_hash
from pipelines.io.lake import Commit, Lake
from pipelines.io.quality import quality_audit
from pipelines.io.registry import CHAMPION, Registry
from pipelines.measure import Stopwatch
from pipelines.settings import Settings
from pipelines.usecases.demand.contracts import USECASE
from pipelines.usecases.demand.dataset import Dataset, Origin, open_origin, read_dataset
from pipelines.usecases.demand.forecasting import Forecasts, serve
from pipelines.usecases.demand.hierarchy import Coherent, reconcile_both
from pipelines.usecases.demand.orders import orders_of_series
from pipelines.usecases.demand.params import DemandParams
from pipelines.usecases.demand.schemas import AGGREGATES, CERTIFICATES, FORECASTS, INTERVALS, WEEKLY

log = logging.getLogger(__name__)


def run(
    as_of: date,
    *,
    settings: Settings | None = None,
    params: DemandParams | None = None,
    alias: str = CHAMPION,
) -> dict[str, Any]:
    """Forecast ``as_of`` with the models that carry ``alias``.

    The tables of the day are audited before they are committed; a failed audit leaves them as they were.
    A breached certificate is committed, because people must see it, and blocks the publication.

    Raises
    ------
    ModelGateError
        No version carries the alias.
    DataContractError
        The day has no features, or an audit failed.
    """
    settings, params = settings or Settings.load(), params or DemandParams.load_default()
    lake, registry = Lake.of(settings), Registry(settings, USECASE)
    version = registry.serving(alias)
    forecaster: DemandForecaster = registry.load(version)
    watch = Stopwatch()
    with watch.phase("read"):
        data = read_dataset(
            lake, as_of, horizon_days=params.horizon_days, history_days=params.features.history_days
        )
        origin = open_origin(lake, data, as_of, horizon_days=params.horizon_days)
    with engine_of(params.engine, settings, **params.engine_options) as engine:
        with watch.phase("forecast"):
            found = serve(
                origin,
                data.profile,
                forecaster,
                fallbacks=data.profile["fallback"].fillna("").to_numpy(object),
                orders=orders_of_series(data.profile, forecaster.orders or {}),
                engine=engine,
            )
        with watch.phase("reconcile"):
            coherent = reconcile_both(origin, data.profile, found.units, forecaster, engine)
    with watch.phase("commit"):
        commit, content = _commit(lake, as_of, origin, data, found, coherent, version.label, params, settings)
    models = pd.Series(found.model).value_counts()
    return {
        "model_version": version.label,
        "series": len(data.profile),
        "fallbacks": int(np.char.startswith(found.model.astype(str), "fallback").sum()),
        "models": {str(name): int(count) for name, count in models.items()},
        "units": round(float(coherent.operational["national"][:, 1:].sum()), 1),
        "certificates_ok": all(certificate.ok for certificate in coherent.certificates.values()),
        "lake_version": commit.version,
        "content_hash": content,
        "seconds": {name: round(seconds, 1) for name, seconds in watch.seconds.items()},
    }


def _commit(
    lake: Lake,
    as_of: date,
    origin: Origin,
    data: Dataset,
    found: Forecasts,
    coherent: Coherent,
    version: str,
    params: DemandParams,
    settings: Settings,
) -> tuple[Commit, str]:
    """Commit the tables of the day; gives the commit and the hash of the forecasts."""
    tables = {
        AGGREGATES: _aggregates(as_of, origin, coherent, version),
        WEEKLY: _weekly(as_of, coherent),
        CERTIFICATES: _certificates(as_of, coherent),
    }
    day, metadata = {"as_of": as_of}, {"model_version": version, "data_versions": data.versions}
    forecasts = _forecasts(as_of, data.profile, found, coherent, version)
    # Before any commit: a refused day must not leave its totals for tomorrow to be compared with.
    _check_total(lake, as_of, forecasts, params)
    for table, rows in tables.items():
        lake.replace_partition(table, rows, day, metadata=metadata)
    # Last: readers and the publication go by this table.
    audits = [_complete(len(data.profile), params), quality_audit(FORECASTS, settings)]
    commit = lake.replace_partition(FORECASTS, forecasts, day, audits=audits, metadata=metadata)
    return commit, content_hash(forecasts, sort_by=FORECASTS.key)


def _days(as_of: date, horizon: int) -> NDArray[np.datetime64]:
    """Published days: tomorrow on. Today is forecast so that nothing is skipped, and is in progress."""
    return np.datetime64(as_of, "D") + np.arange(1, horizon)


def _rows(keys: dict[str, NDArray[Any]], days: NDArray[np.datetime64], as_of: date) -> dict[str, Any]:
    """Key columns of nodes x days."""
    count = len(next(iter(keys.values())))
    return {
        "as_of": np.full(count * len(days), np.datetime64(as_of, "D")),
        **{name: np.repeat(values, len(days)) for name, values in keys.items()},
        "ds": np.tile(days, count),
        "horizon": np.tile(np.arange(1, len(days) + 1), count),
    }


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


def _forecasts(
    as_of: date, profile: pd.DataFrame, found: Forecasts, coherent: Coherent, version: str
) -> pa.Table:
    days = _days(as_of, found.units.shape[1])
    repeated = {
        "segment": profile["segment"].to_numpy(object),
        "model": found.model,
        "reason": found.reason,
    }
    columns = {
        **_rows({name: profile[name].to_numpy(object) for name in ("store_id", "sku_id")}, days, as_of),
        **_quantities(coherent, "sku_store"),
        **{name: np.repeat(values, len(days)) for name, values in repeated.items()},
        "model_version": np.full(len(profile) * len(days), version, dtype=object),
    }
    return pa.table(columns, schema=FORECASTS.arrow_schema)


def _aggregates(as_of: date, origin: Origin, coherent: Coherent, version: str) -> pa.Table:
    days = _days(as_of, origin.panel.horizon)
    parts = []
    for level, nodes in coherent.nodes.items():
        if level == "sku_store":
            continue
        columns = {
            **_rows({"level": np.full(len(nodes), level, dtype=object), "node": nodes}, days, as_of),
            **_quantities(coherent, level),
            "model_version": np.full(len(nodes) * len(days), version, dtype=object),
        }
        parts.append(pa.table(columns, schema=AGGREGATES.arrow_schema))
    return pa.concat_tables(parts)


def _weekly(as_of: date, coherent: Coherent) -> pa.Table:
    """Sums over J+1..J+7 and J+8..J+14; a horizon that ends earlier has a shorter last week."""
    parts = []
    horizon = coherent.operational["national"].shape[1] - 1
    for level, names in coherent.nodes.items():
        for week, start in enumerate(range(1, horizon + 1, 7), start=1):
            stop = min(start + 7, horizon + 1)
            count = len(names)
            columns = {
                "as_of": np.full(count, np.datetime64(as_of, "D")),
                "level": np.full(count, level, dtype=object),
                "node": names,
                "week": np.full(count, week),
                "starts_on": np.full(count, np.datetime64(as_of, "D") + start),
                "ends_on": np.full(count, np.datetime64(as_of, "D") + stop - 1),
                "operational": coherent.operational[level][:, start:stop].sum(axis=1),
                "strategic": coherent.strategic[level][:, start:stop].sum(axis=1),
            }
            parts.append(pa.table(columns, schema=WEEKLY.arrow_schema))
    return pa.concat_tables(parts)


def _certificates(as_of: date, coherent: Coherent) -> pa.Table:
    def row(forecast: str, found: Certificate) -> dict[str, Any]:
        return {
            "as_of": as_of,
            "forecast": forecast,
            "method": found.method,
            "max_incoherence": found.incoherence,
            "relative_incoherence": found.incoherence_relative,
            "optimality_residual": found.residual_relative,
            "negatives": found.negatives,
            "zero_parents": found.split_by_shares + found.split_evenly,
            "ok": found.ok,
            "words": found.words,
        }

    rows = [row(forecast, found) for forecast, found in coherent.certificates.items()]
    return pa.Table.from_pylist(rows, schema=CERTIFICATES.arrow_schema)


def _check_total(lake: Lake, as_of: date, forecasts: pa.Table, params: DemandParams) -> None:
    """Refuse a day whose total left the last day's by too much.

    The alarm of monitoring is told at a smaller change; this stops the commit.

    Raises
    ------
    DataContractError
        It did; nothing was committed.
    """
    national = (pa_dataset.field("as_of") < as_of) & (pa_dataset.field("level") == "national")
    earlier = lake.read(AGGREGATES, columns=["as_of", "operational"], where=national, missing_ok=True)
    if not earlier.num_rows:
        return
    totals = earlier.group_by("as_of").aggregate([("operational", "sum")]).sort_by("as_of")
    last = float(totals["operational_sum"][-1].as_py())
    total = float(pc.sum(forecasts["operational"]).as_py() or 0.0)
    if abs(total - last) > params.max_total_change * last:
        raise DataContractError(
            f"{FORECASTS.name}: not published, the previous version stays. The total of {total:.0f} units differs "
            f"from the last day's {last:.0f} by more than {params.max_total_change:.0%} (max_total_change in "
            "params.yaml)"
        )


def _complete(series: int, params: DemandParams) -> Audit:
    """Refuse a day on which a series lacks a day."""

    def audit(staged: Any) -> list[str]:
        rows = staged.aggregate("count(*)").fetchall()[0][0]
        if rows == series * params.horizon_days:
            return []
        return [f"{series} series x {params.horizon_days} days must have rows, got {rows}"]

    return audit
