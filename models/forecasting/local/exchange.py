"""Series as rows of a table, for engines that carry tables to where the models run, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.forecasting.panel import Matrix, Panel

#: Series per group of each model: a few seconds of work, so that a lost group costs little.
GROUP_SIZES = {"prophet": 20, "sarima": 50, "ets": 100, "average": 50}
GROUP_SIZE_OF_OTHERS = 1000

#: Facts of a store's day that Prophet learns from, where the panel has them.
CALENDAR_REGRESSORS = ("is_public_holiday", "is_school_holiday", "has_local_event", "day_before_holiday")

#: Columns of what :func:`~models.forecasting.local.groups.forecast_group` returns.
RESULT_TYPES = {
    "row": "int64",
    "store_id": "string",
    "sku_id": "string",
    "model": "string",
    "step": "int32",
    "forecast": "float64",
    "used": "string",
    "reason": "string",
    "order": "string",
    "seconds": "float64",
}


def pack(panel: Panel, models: str | Sequence[str], orders: Sequence[str] | None = None) -> pd.DataFrame:
    """One row per series with all that its model needs, in groups of one model each.

    Parameters
    ----------
    panel : Panel
    models : str or sequence of n str
        Model of all series, or of each.
    orders : sequence of n str, optional
        SARIMA orders such as ``"(1,0,1)(0,1,1)"``, ``""`` where none is known; see
        :func:`~models.forecasting.local.orders.orders_of`.

    Returns
    -------
    DataFrame
        ``group``, ``row`` (position in the panel), ``store_id``, ``sku_id``, ``model``, ``order``,
        ``as_of`` (ISO date), ``horizon`` and lists: ``y`` and ``censored`` over T days, ``promo``,
        ``price`` and ``open`` over T + H, ``regressors`` (all of ``regressor_names``, one after another,
        over T + H). Series of a store share their store's lists, so they take memory once.
    """
    n = len(panel)
    names = np.array([models] * n if isinstance(models, str) else list(models), dtype=object)
    if len(names) != n or (orders is not None and len(orders) != n):
        raise ValueError(f"models and orders must have {n} entries, one per series")
    # One object per store: what is shared is written once where a group is pickled.
    opened = list(_open_by_store(panel))
    columns = calendar_columns(panel)
    by_store = list(np.concatenate(list(columns.values()), axis=1)) if columns else None
    nothing = np.empty(0, dtype=np.float32)
    frame = pd.DataFrame(
        {
            "group": _groups(names),
            "row": np.arange(n),
            "store_id": panel.series["store_id"].astype(str).to_numpy(object),
            "sku_id": panel.series["sku_id"].astype(str).to_numpy(object),
            "model": names,
            "order": [""] * n if orders is None else list(orders),
            "as_of": str(panel.as_of),
            "horizon": panel.horizon,
            "y": list(panel.y),
            "censored": list(panel.censored),
            "promo": list(panel.promo),
            "price": list(panel.price),
            "open": [opened[store] for store in panel.store],
            "regressor_names": ",".join(columns),
            "regressors": [
                by_store[store] if by_store is not None and name == "prophet" else nothing
                for store, name in zip(panel.store, names, strict=True)
            ],
        }
    )
    return frame.sort_values(["group", "row"], kind="stable", ignore_index=True)


def unpack(frame: pd.DataFrame) -> Matrix:
    """Forecasts of the series in the order of their rows, shape (n, H).

    Raises
    ------
    ValueError
        A series lacks a step or has one twice.
    """
    ordered = frame.sort_values(["row", "step"], kind="stable")
    rows, counts = np.unique(ordered["row"].to_numpy(), return_counts=True)
    steps = ordered["step"].to_numpy()
    horizon = int(steps.max()) + 1 if len(steps) else 0
    if not (np.all(counts == horizon) and np.array_equal(steps, np.tile(np.arange(horizon), len(rows)))):
        odd = rows[counts != horizon] if np.any(counts != horizon) else rows
        raise ValueError(
            f"every series must have the steps 0..{horizon - 1} once; "
            f"offending rows: {odd[:5].tolist()} of {len(odd)}"
        )
    return np.asarray(ordered["forecast"].to_numpy(np.float32).reshape(len(rows), horizon))


def calendar_columns(panel: Panel) -> dict[str, Matrix]:
    """Calendar facts for regressors by name, each (n_stores, T + H)."""
    known: dict[str, Any] = dict(panel.calendar)
    if "days_to_holiday" in known:
        known["day_before_holiday"] = (known["days_to_holiday"] == 1).astype(np.float32)
    return {
        name: np.nan_to_num(np.asarray(known[name], dtype=np.float32))
        for name in CALENDAR_REGRESSORS
        if name in known
    }


def _open_by_store(panel: Panel) -> NDArray[np.bool_]:
    if "is_open" in panel.calendar:
        return np.asarray(panel.calendar["is_open"] > 0)
    stores = int(panel.store.max(initial=-1)) + 1
    return np.ones((stores, len(panel.days)), dtype=bool)


def _groups(models: NDArray[Any]) -> list[str]:
    """Label of each series' group: its model and a number."""
    place = pd.Series(models).groupby(models, sort=False).cumcount().to_numpy()
    return [
        f"{model}-{number // GROUP_SIZES.get(model, GROUP_SIZE_OF_OTHERS):05d}"
        for model, number in zip(models, place, strict=True)
    ]
