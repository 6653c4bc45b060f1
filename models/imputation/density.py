"""Densities of observed and imputed values, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]

#: Most values that a density is estimated from, evenly spread over the sorted ones.
MOST = 2_000
#: Fewest values of either side.
LEAST = 5


def compare_densities(
    before: pd.DataFrame,
    completed: Iterable[pd.DataFrame],
    *,
    columns: Sequence[str] | None = None,
    points: int = 100,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare what was observed of each numeric column with what was imputed.

    They may differ and be right: cells that are missing more often where values are high must be imputed high.
    What cannot be explained by other columns is worth a look.

    Parameters
    ----------
    before : DataFrame
        With its missing cells.
    completed : iterable of DataFrame
        Visited once.
    columns : sequence of str, optional
        All numeric ones if not given.
    points : int
        Of each curve.

    Returns
    -------
    curves : DataFrame
        ``column``, ``value``, ``observed``, ``imputed``; the densities have area one.
    summary : DataFrame
        ``column``, ``observed``, ``imputed`` (cells per data set), means and standard deviations of both, and
        ``distance``: the largest difference of their distribution functions.
    """
    names = list(before.select_dtypes("number").columns) if columns is None else list(columns)
    gaps = {name: before[name].isna().to_numpy() for name in names}
    names = [name for name in names if gaps[name].sum() >= LEAST and (~gaps[name]).sum() >= LEAST]
    imputed: dict[str, list[Floats]] = {name: [] for name in names}
    for table in completed:
        for name in names:
            imputed[name].append(table[name].to_numpy(dtype=np.float64, na_value=np.nan)[gaps[name]])
    curves, summary = [], []
    for name in names:
        seen = before[name].to_numpy(dtype=np.float64, na_value=np.nan)[~gaps[name]]
        drawn = np.concatenate(imputed[name]) if imputed[name] else np.empty(0)
        drawn = drawn[np.isfinite(drawn)]
        if len(drawn) < LEAST:
            continue  # a column that was left out stays missing
        low, high = min(seen.min(), drawn.min()), max(seen.max(), drawn.max())
        grid = np.linspace(low, high, points)
        curves.append(
            pd.DataFrame(
                {
                    "column": name,
                    "value": grid,
                    "observed": _density(seen, grid),
                    "imputed": _density(drawn, grid),
                }
            )
        )
        summary.append({
            "column": name,
            "observed": len(seen),
            "imputed": int(gaps[name].sum()),
            "observed_mean": seen.mean(),
            "imputed_mean": drawn.mean(),
            "observed_sd": seen.std(),
            "imputed_sd": drawn.std(),
            "distance": float(stats.ks_2samp(seen, drawn, method="asymp").statistic),
        })  # fmt: skip
    empty = ["column", "value", "observed", "imputed"]
    return (
        pd.concat(curves, ignore_index=True) if curves else pd.DataFrame(columns=empty),
        pd.DataFrame(summary),
    )


def _density(values: Floats, grid: Floats) -> Floats:
    if len(values) > MOST:
        values = np.sort(values)[np.linspace(0, len(values) - 1, MOST).astype(np.intp)]
    if values.std() == 0:
        out: Any = np.zeros(len(grid))
        out[np.abs(grid - values[0]).argmin()] = np.inf if len(grid) < 2 else 1 / (grid[1] - grid[0] or 1.0)
        return np.asarray(out)
    return np.asarray(stats.gaussian_kde(values)(grid))
