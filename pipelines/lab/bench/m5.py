"""Bench of the global models on 70 series of the M5 competition, against exponential smoothing.

Series are the departments of each store, forecasts of the levels above are their sums. The subset has no
prices, so units of the last 28 days weigh the series of a level, where the competition takes revenue.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from statsforecast import StatsForecast
from statsforecast.models import AutoETS, SeasonalNaive

from models.forecasting.accuracy import wrmsse
from models.forecasting.panel import Panel
from pipelines.errors import DataContractError
from pipelines.lab.bench.global_models import GlobalAverage, training_stack, weekly
from pipelines.lab.bench.result import BenchResult, peak_rss_mb

Floats = NDArray[np.float64]

SALES, CALENDAR = "m5_store_dept_daily_1913.parquet", "calendar_from_df_model.csv"

HORIZON = 28

#: Weekly origins that the models learn from.
WEEKS = 104

#: Settings of both models, chosen on the two windows before the judged one.
SETTINGS = {"rounds": 300, "learning_rate": 0.05, "leaves": 31, "min_rows_in_leaf": 50, "n_jobs": 2}

_FIRST_DAY = np.datetime64("2011-01-29")  # day 1 of the competition
_PROCESSES = 2


@dataclass(frozen=True)
class M5:
    """The subset.

    Attributes
    ----------
    panel : Panel
        Store is the store, product the department; cells that were imputed as 0 are unknown.
    units : ndarray of shape (70, 1913)
        Sales with those cells as 0, by which is judged.
    levels : dict of str to ndarray of str, shape (70,)
        Node of each series.
    """

    panel: Panel
    units: Floats
    levels: dict[str, NDArray[np.object_]]


def run(data: Path, *, say: Callable[[str], None] = lambda line: None, window: int = 0) -> BenchResult:
    """Forecast 28 days by the average of LightGBM and XGBoost, and by each peer; WRMSSE by level.

    Parameters
    ----------
    data
        The folder with m5_store_dept_daily_1913.parquet and calendar_from_df_model.csv.
    window
        Windows of 28 days to go back from the last one, for choices that must not see it.
    """
    started = time.perf_counter()
    m5 = read_m5(data)
    stop = m5.units.shape[1] - HORIZON * (window + 1)
    peers = {name: _judge(m5, stop, units) for name, units in _peers(m5, stop).items()}
    for name, found in peers.items():
        say(f"{name}: wrmsse {found['wrmsse']:.4f}")
    say(f"peers after {time.perf_counter() - started:.0f} s")
    first = m5.panel.days[stop]
    origins = weekly(first - 7 * WEEKS, first)
    X, y = training_stack(m5.panel, origins, HORIZON, before=first)
    model = GlobalAverage.fit(X, y, SETTINGS)
    metrics = _judge(m5, stop, model.forecast(m5.panel, first, HORIZON))
    say(f"average of global models: wrmsse {metrics['wrmsse']:.4f}")
    best = min(found["wrmsse"] for found in peers.values())
    return BenchResult(
        "m5",
        {
            **metrics,
            "wrmsse_ratio_to_best_baseline": metrics["wrmsse"] / best,
            "series": len(m5.panel),
            "rows_trained": len(X),
        },
        time.perf_counter() - started,
        peak_rss_mb(),
        peers,
    )


def read_m5(folder: Path) -> M5:
    """Read the subset.

    Raises
    ------
    DataContractError
        A file is missing.
    """
    missing = [name for name in (SALES, CALENDAR) if not (folder / name).exists()]
    if missing:
        raise DataContractError(f"{folder} must hold {SALES} and {CALENDAR}, missing {missing}")
    rows = pd.read_parquet(folder / SALES)
    keys = ["store_id", "dept_id", "state_id", "cat_id"]
    series = rows[keys].drop_duplicates().sort_values(keys, ignore_index=True)
    row = pd.MultiIndex.from_frame(series[keys[:2]]).get_indexer(pd.MultiIndex.from_frame(rows[keys[:2]]))
    units = np.zeros((len(series), int(rows["n"].max())))
    units[row, rows["n"] - 1] = rows["sales"]
    imputed = np.zeros(units.shape, dtype=bool)
    imputed[row, rows["n"] - 1] = rows["imputed_zero"]
    stores, store = np.unique(series["store_id"].astype(str), return_inverse=True)
    panel = Panel(
        series=pd.DataFrame(
            {
                "store_id": series["store_id"],
                "sku_id": series["dept_id"],
                "region": series["state_id"],
                "category": series["cat_id"],
            }
        ),
        days=_FIRST_DAY + np.arange(units.shape[1]),
        n_history=units.shape[1],
        y=np.where(imputed, np.nan, units).astype(np.float32),
        censored=np.zeros(units.shape, dtype=bool),
        promo=np.zeros(units.shape, dtype=np.float32),
        price=np.full(units.shape, np.nan, dtype=np.float32),
        store=store,
        calendar=_calendar(
            pd.read_csv(folder / CALENDAR), [str(name)[:2] for name in stores], units.shape[1]
        ),
    )
    levels = {
        "total": pd.Series("all", index=series.index),
        "state": series["state_id"],
        "store": series["store_id"],
        "category": series["cat_id"],
        "department": series["dept_id"],
        "store_department": series["store_id"] + "/" + series["dept_id"],
    }
    return M5(panel, units, {name: nodes.to_numpy(object) for name, nodes in levels.items()})


def _calendar(table: pd.DataFrame, states: list[str], days: int) -> dict[str, NDArray[np.float32]]:
    """Events and food stamps by day; days before the table begins have neither. Closed at Christmas."""
    day = table["n"].to_numpy() - 1
    names = sorted(table["event_name_1"].dropna().unique())
    event = np.zeros(days, dtype=np.float32)
    event[day] = table["event_name_1"].map({name: code for code, name in enumerate(names, 1)}).fillna(0)
    snap = np.zeros((len(states), days), dtype=np.float32)
    for store, state in enumerate(states):
        snap[store, day] = table[f"snap_{state}"]
    everywhere = np.tile(event, (len(states), 1))
    return {
        "is_open": (everywhere != names.index("Christmas") + 1).astype(np.float32),
        "is_public_holiday": (everywhere > 0).astype(np.float32),
        "event": everywhere,
        "snap": snap,
    }


def _peers(m5: M5, stop: int) -> dict[str, Floats]:
    """Forecasts of models fitted series by series on the whole history before day ``stop``."""
    n = len(m5.units)
    frame = pd.DataFrame(
        {
            "unique_id": np.repeat(np.arange(n), stop),
            "ds": np.tile(m5.panel.days[:stop].astype("datetime64[ns]"), n),
            "y": m5.units[:, :stop].ravel(),
        }
    )
    models = [AutoETS(season_length=7, alias="ets"), SeasonalNaive(season_length=7, alias="seasonal_naive")]
    found = StatsForecast(models, freq="D", n_jobs=_PROCESSES).forecast(df=frame, h=HORIZON)
    return {
        name: np.asarray(found[name], dtype=np.float64).reshape(n, HORIZON)
        for name in ("ets", "seasonal_naive")
    }


def _judge(m5: M5, stop: int, forecast: Floats) -> dict[str, float]:
    history = m5.units[:, :stop]
    found = wrmsse(m5.units[:, stop : stop + HORIZON], forecast, history, history, m5.levels)
    return {"wrmsse": found.pop("mean"), **{f"wrmsse_{level}": value for level, value in found.items()}}
