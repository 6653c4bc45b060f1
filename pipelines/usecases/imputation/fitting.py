"""From the sensors' descriptions and the parameters to an imputer, and what is known of cells beyond a limit."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.imputation.imputer import BootstrapEMImputer
from models.imputation.panel import Panel
from models.imputation.priors import CellPrior
from models.imputation.served import ServedImputer
from models.imputation.transforms import NumericColumn, Transform
from pipelines.usecases.imputation.dataset import TIME, UNIT, Wide
from pipelines.usecases.imputation.params import ImputationParams, ModelParams

#: Threads of the chains; the result does not depend on them.
_THREADS = 2
#: A value beyond a limit lies within so many standard deviations of the sensor beyond it, nearly always.
_BEYOND_SD = 1.5
#: Share of values at a bound from which on they are a heap and not the tail.
_PILE_UP = 0.01

Floats = NDArray[np.float64]


def make_imputer(wide: Wide, params: ImputationParams) -> tuple[ServedImputer, list[str]]:
    """Imputer for a wide table, not fitted, and the columns that it takes of the frame."""
    model = params.model
    units = wide.frame[UNIT].nunique()
    panel = _panel(model, units)
    columns = [*wide.values.columns]
    if panel is not None:
        columns += [name for name in (panel.unit, panel.time) if name is not None]
    sensors = wide.sensors
    transforms: dict[str | int, Transform] = {
        name: scale if kind == "numeric" else kind
        for name, kind, scale in zip(sensors["sensor_id"], sensors["kind"], sensors["scale"], strict=True)
    }
    bounds = _bounds(wide)
    imputer = ServedImputer(
        m=model.m,
        ridge=model.ridge,
        transforms=transforms,
        bounds=bounds or None,
        panel=panel,
        max_categories=model.max_categories,
        min_observed=model.min_observed,
        max_iter=model.max_iter,
        max_seconds=model.max_seconds,
        n_jobs=_THREADS,
        random_state=params.seed,
    )
    return imputer, columns


def limit_priors(wide: Wide) -> list[CellPrior]:
    """What is known of cells beyond a limit: a range on the sensor's scale, next to the limit.

    A soft range, as the model has normal priors: :func:`hold_limits` sees that no draw crosses the limit.
    """
    limited, names = wide.limited, list(wide.values.columns)
    priors: list[CellPrior] = []
    for position in np.unique(limited.column).tolist():
        name = names[position]
        described = wide.sensors.iloc[position]
        known = wide.values[name].dropna()
        if described["kind"] != "numeric" or len(known) < 2:
            continue
        scale = NumericColumn(name, described["scale"]).fit(known)
        spread = float(scale.to_model(known.to_numpy(dtype=np.float64)).std())
        if not spread > 0:
            continue
        own = limited.column == position
        limits = scale.to_model(limited.limit[own])
        for row, limit, below in zip(
            limited.row[own].tolist(), limits.tolist(), limited.below[own].tolist(), strict=True
        ):
            far = limit - _BEYOND_SD * spread if below else limit + _BEYOND_SD * spread
            priors.append(CellPrior.from_range(row, name, min(far, limit), max(far, limit)))
    return priors


def hold_limits(wide: Wide, completed: pd.DataFrame) -> pd.DataFrame:
    """Put draws that crossed a limit of their cell, or what their sensor can measure, onto it."""
    limited, names = wide.limited, list(wide.values.columns)
    cells = {position: limited.column == position for position in np.unique(limited.column).tolist()}
    columns: dict[str, Floats] = {}
    for position, (name, kind, low, high) in enumerate(
        zip(names, *(wide.sensors[column] for column in ("kind", "low", "high")), strict=True)
    ):
        if kind == "nominal" or name not in completed.columns:
            continue
        gaps = wide.values[name].isna().to_numpy()
        if not gaps.any() or (np.isnan(low) and np.isnan(high) and position not in cells):
            continue
        values = completed[name].to_numpy(dtype=np.float64, copy=True)
        # What was measured stays as it was, even where it contradicts the sensor's description.
        least, most = (-np.inf if np.isnan(low) else low), (np.inf if np.isnan(high) else high)
        values[gaps] = np.clip(values[gaps], least, most)
        if position in cells:
            own = cells[position]
            row, limit = limited.row[own], limited.limit[own]
            values[row] = np.where(
                limited.below[own], np.minimum(values[row], limit), np.maximum(values[row], limit)
            )
        columns[name] = values
    return completed.assign(**columns)


def usable_frame(model: BootstrapEMImputer, wide: Wide) -> pd.DataFrame:
    """Frame with the columns of a fitted model.

    A sensor that the model learned and the day does not describe any more is there, empty; one that it never saw
    is not.
    """
    columns = [str(name) for name in model.feature_names_in_]
    frame = wide.frame
    gone = {name: np.nan for name in columns if name not in frame.columns}
    return frame.assign(**gone)[columns]


def _panel(model: ModelParams, units: int) -> Panel | None:
    intercepts = model.unit_intercepts and 1 < units <= model.max_units
    timed = bool(model.time_degree or model.lags or model.leads)
    if not intercepts and not timed:
        return None
    return Panel(
        time=TIME if timed else None,
        unit=UNIT if intercepts or model.lags or model.leads else None,
        degree=model.time_degree,
        intercepts=intercepts,
        lags=model.lags,
        leads=model.leads,
    )


def _bounds(wide: Wide) -> dict[str | int, tuple[float | None, float | None]]:
    """Bounds within which the model draws.

    Where values pile up at a bound (a varnish that is not used, a saturated sensor), drawing strictly within it
    would never give the most frequent value: such a bound is left to :func:`hold_limits`, which puts what is drawn
    beyond it onto it. The ends of the scales `log` and `logistic` are bounds already.
    """
    sensors, found = wide.sensors, {}
    for name, kind, scale, low, high in zip(
        *(sensors[column] for column in ("sensor_id", "kind", "scale", "low", "high")), strict=True
    ):
        if kind != "numeric":
            continue
        values = wide.values[name].to_numpy(dtype=np.float64)
        known = values[~np.isnan(values)]
        ends = (0.0, np.inf) if scale == "log" else (0.0, 1.0) if scale == "logistic" else (-np.inf, np.inf)
        least = _bound(low, ends[0], known <= low)
        most = _bound(high, ends[1], known >= high)
        if least is not None or most is not None:
            found[name] = (least, most)
    return found


def _bound(value: float, end: float, at_it: NDArray[np.bool_]) -> float | None:
    if np.isnan(value) or value == end or (len(at_it) and at_it.mean() > _PILE_UP):
        return None
    return float(value)
