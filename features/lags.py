"""Features of a forecast: what was known at an origin, laid out by series and day ahead.

A column is either about the series at the origin, about the target day as known at the origin, or about
both (what the series sold on such weekdays). From the origin's day on only facts known ahead are
used; a day that a store reported later than the origin counts as unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.ahead import calendar_columns, promo_columns
from features.feasts import feast_ratio
from features.groups import GROUPS, Group, groups_of
from features.known import DAY, Known, PanelLike, known_at
from features.levels import FLOOR, LEAST_SHARE, Levels, levels_at
from features.neighbours import neighbours_at
from features.seasons import Season, Windows, season_of, windows_of
from features.similar import similar_at, similar_columns
from features.weather import weather_at

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]

#: Column with the units that a day ahead is expected to sell; learners scale their target by it.
EXPECTED = "expected"

#: Largest logs of past years' season and of the weather's effect that the expected units follow. Without the first, a
#: season that the training origins have not seen, such as the weeks before Christmas, is out of reach of trees.
MOST_SEASON, MOST_WEATHER = 2.0, 0.5

#: Attributes of series that are features, where the table has them: words and numbers.
WORDS = (
    "region", "clientele", "store_type", "assortment", "category", "subcategory", "brand", "price_band",
    "store_cluster",
)  # fmt: skip
NUMBERS = ("surface_m2", "competition_distance_m", "pack_size", "list_price_eur")

#: How promotions work; any other counts as unknown.
MECHANICS = ("none", "price_off", "multi_buy", "display", "leaflet", "coupon")


def origin_frame(
    panel: PanelLike,
    origin: np.datetime64,
    horizon: int,
    *,
    ahead: Mapping[str, NDArray[Any]] | None = None,
    calendar: Mapping[str, NDArray[Any]] | None = None,
    cells: tuple[Indices, Indices] | None = None,
    groups: Mapping[str, Sequence[str]] = GROUPS,
    follow_season: bool = True,
) -> pd.DataFrame:
    """Features of the days from ``origin`` on.

    Parameters
    ----------
    panel
        History; it may go on after the origin, which changes nothing.
    origin
        First day to forecast (step 0).
    horizon
        Days to forecast, H.
    ahead : mapping of str to ndarray of shape (n, H), optional
        Facts of the products' days ahead as known at the origin: ``promo_discount``, ``promo_mechanic``
        (words), ``promo_day``, ``promo_days_left``, ``days_since_promo``, ``category_promos``, ``price``.
        What is not given is taken from the panel.
    calendar : mapping of str to ndarray of shape (n_stores, H), optional
        Facts of the stores' days ahead as known at the origin; the panel's if not given.
    cells : pair of ndarray of int, optional
        Series and steps wanted; all, series by series, if not given.
    groups
        Columns of ``panel.series`` by which series are grouped.
    follow_season
        Whether ``expected`` follows last year's season of the category. Where feasts that move make
        the year's largest peaks, it follows them to the wrong days.

    Returns
    -------
    pandas.DataFrame
        One row per cell; columns of float32, and of categories for words. ``expected`` is in units.
    """
    known = known_at(panel, origin, horizon, ahead=ahead, calendar=calendar)
    if cells is None:
        row, step = (part.ravel() for part in np.indices((len(panel.series), horizon), dtype=np.intp))
    else:
        row, step = cells
    grouped = groups_of(panel.series, groups)
    every = Group(np.zeros(len(panel.series), dtype=np.intp), 1)
    pooled = grouped.get("category", every)
    levels = levels_at(known, pooled, grouped.get("shelf", pooled))
    windows = windows_of(known, levels)
    weather = weather_at(known, levels, pooled)
    sky = weather.columns()
    feasts = feast_ratio(known, levels, pooled, weather)[pooled.code]
    logs = (
        np.clip(np.nan_to_num(feasts), -MOST_SEASON, MOST_SEASON) if follow_season else np.zeros_like(feasts)
    )
    if sky:
        logs = logs + np.clip(sky["weather_effect"], -MOST_WEATHER, MOST_WEATHER)
    factor = np.exp(logs[row, step])
    columns = {
        **_own_columns(known, levels, season_of(windows), factor, row, step),
        **_group_columns(levels, windows, grouped, row, step),
        **calendar_columns(known, row, step),
        **promo_columns(known, row, step, ahead),
        **{name: values[row, step] for name, values in sky.items()},
        **{name: values[row, step] for name, values in neighbours_at(known, levels, panel.series).items()},
        **_attributes(panel.series, row),
        "category_feast": feasts[row, step],
    }
    if "category" in panel.series.columns:
        promoted = (known.promo[row, known.n_history + step] > 0).astype(np.intp)
        similar = similar_at(known, levels, panel.series)
        columns |= similar_columns(similar, levels, promoted, row, step, columns[EXPECTED])
    if ahead is not None and "promo_mechanic" in ahead:
        columns["promo_mechanic"] = pd.Categorical(ahead["promo_mechanic"][row, step], MECHANICS)
    return pd.DataFrame(columns, copy=False)


def sample_cells(
    wanted: NDArray[np.bool_], origin: np.datetime64, share: float, seed: int = 0
) -> tuple[Indices, Indices]:
    """Draw a share of the wanted cells of an origin.

    Which ones depends on the seed and the origin only, so that a cell drawn once is drawn again, however many origins and
    cells there are.

    Parameters
    ----------
    wanted : ndarray of bool, shape (n, H)
        Cells to draw from.

    Returns
    -------
    row, step : ndarray of int, shape (cells,)
        Series by series.
    """
    number = int((origin - np.datetime64("1970-01-01")) / DAY)
    drawn = np.random.default_rng([seed, number]).random(wanted.shape) < share
    row, step = np.nonzero(drawn & wanted)
    return row, step


def _own_columns(
    known: Known,
    levels: Levels,
    season: Season,
    factor: Floats | np.float32,
    row: Indices,
    step: Indices,
) -> dict[str, Any]:
    """Features of the series at the origin, and of its weekdays and seasons."""
    slot = step % 7
    promoted = (known.promo[row, known.n_history + step] > 0).astype(np.intp)
    usual = levels.profile[row, slot, promoted]
    expected = np.maximum(usual * levels.recent[row] * factor, np.float32(FLOOR * 0.1))
    columns = {
        EXPECTED: expected,
        **{name: values[row] for name, values in levels.columns.items()},
        "usual": np.log(usual / levels.mean[row]),
        "slot_uplift": np.log(levels.profile[row, slot, 1] / levels.profile[row, slot, 0]),
        **{f"year_{name}": values[row, step] for name, values in season.ahead.items()},
    }
    for weeks, profile in levels.profiles.items():
        ratio = profile[row, slot, promoted] / expected
        columns[f"profile_{weeks}"] = np.log((ratio + LEAST_SHARE) / (1 + LEAST_SHARE))
    for week in (0, 1):
        columns[f"week_{week + 1}_back"] = np.log(levels.last_weeks[row, week, slot] / levels.recent[row])
    return columns


def _group_columns(
    levels: Levels, windows: Windows, groups: Mapping[str, Group], row: Indices, step: Indices
) -> dict[str, Any]:
    """Trend and season of the series' groups, and the series' share in them."""
    columns: dict[str, Any] = {}
    for name, group in groups.items():
        season = season_of(windows, group)
        code = group.code[row]
        columns |= {f"{name}_{label}": values[code] for label, values in season.now.items()}
        columns |= {f"{name}_{label}": values[code, step] for label, values in season.ahead.items()}
        if group.size > 1:
            members = np.bincount(group.code, minlength=group.size).astype(np.float32)
            mean = group.sum(levels.mean[:, None])[:, 0] / members
            columns[f"{name}_share"] = np.log(levels.mean / mean[group.code])[row].astype(np.float32)
    return columns


def _attributes(series: pd.DataFrame, row: Indices) -> dict[str, Any]:
    """Words as categories, numbers as they are."""
    found: dict[str, Any] = {}
    for name in WORDS:
        if name in series.columns:
            found[name] = pd.Categorical(series[name].astype(object)).take(row)
    for name in NUMBERS:
        if name in series.columns:
            found[name] = series[name].to_numpy(dtype=np.float32, na_value=np.nan)[row]
    return found
