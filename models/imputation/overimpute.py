"""Overimputation: observed cells are taken out one by one, imputed, and compared with what they were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from models.imputation.draws import conditional_draws
from models.imputation.em import Incomplete, workers
from models.imputation.imputer import BootstrapEMImputer
from models.imputation.threads import single_blas
from models.imputation.transforms import NumericColumn

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Overimputation:
    """Observed cells beside their imputations.

    Attributes
    ----------
    cells : DataFrame
        ``row`` (position), ``column``, ``observed``, ``mean``, ``low``, ``high``, ``covered``,
        ``missing_share`` (of the row's other modelled columns).
    level : float
        Share of draws between ``low`` and ``high``.
    """

    cells: pd.DataFrame
    level: float

    @property
    def coverage(self) -> float:
        """Share of cells within their interval; near ``level`` if the model is right."""
        return float(self.cells["covered"].mean())

    def by_column(self) -> pd.DataFrame:
        """Cells, coverage, root mean squared error and correlation of each column."""
        rows = []
        for column, part in self.cells.groupby("column", sort=False):
            error = part["mean"] - part["observed"]
            varies = np.ptp(part["mean"]) > 0 and np.ptp(part["observed"]) > 0
            rows.append({
                "column": column,
                "cells": len(part),
                "coverage": part["covered"].mean(),
                "rmse": float(np.sqrt(np.square(error).mean())),
                "sd": part["observed"].std(ddof=0),
                "correlation": part["mean"].corr(part["observed"]) if varies else float("nan"),
            })  # fmt: skip
        return pd.DataFrame(rows, columns=["column", "cells", "coverage", "rmse", "sd", "correlation"])


def overimpute(
    imputer: BootstrapEMImputer,
    X: Any,
    *,
    level: float = 0.9,
    draws: int = 100,
    cells_per_column: int = 500,
    seed: int = 0,
) -> Overimputation:
    """Impute observed cells of numeric columns as if they were missing, each by itself.

    Parameters
    ----------
    imputer : BootstrapEMImputer
        Fitted; on other rows than these for an honest judgement of new ones.
    X : DataFrame or array
    level : float
        Of the intervals.
    draws : int
        Of each cell, shared by the chains.
    cells_per_column : int
        Most cells of a column, drawn at random.
    seed : int
    """
    check_is_fitted(imputer, "chains_")
    if not 0 < level < 1 or draws < 2 or cells_per_column < 1:
        raise ValueError(
            f"level must be in (0, 1), draws at least 2 and cells at least 1, got {level!r}, {draws!r}, {cells_per_column!r}"
        )
    design = imputer.design_
    frame = imputer._frame(X, reset=False)
    values = design.standardise(design.encode(frame))
    rng = np.random.default_rng(seed)
    picked, modelled = [], []
    for column, j in zip(design.columns_, design.start_, strict=True):
        if not isinstance(column, NumericColumn):
            continue
        seen = np.flatnonzero(~np.isnan(values[:, j]))
        if len(seen) > cells_per_column:
            seen = np.sort(rng.choice(seen, cells_per_column, replace=False))
        picked.append(seen)
        modelled.append(np.full(len(seen), j))
    rows = np.concatenate(picked) if picked else np.empty(0, dtype=np.intp)
    columns = np.concatenate(modelled) if modelled else np.empty(0, dtype=np.intp)
    drawn = _draws(imputer, values[rows], columns, draws, rng)
    return Overimputation(_compare(imputer, frame, values, rows, columns, drawn, level), level)


def with_errors(cells: pd.DataFrame, reference: BootstrapEMImputer) -> pd.DataFrame:
    """Add the ``error`` of each cell: mean less observed value on a model's scale, in standard deviations.

    Parameters
    ----------
    cells
        Of an :class:`Overimputation`.
    reference
        Fitted. Cells of columns that it does not model have no scale and are left out.
    """
    design = reference.design_
    scales: dict[Any, tuple[NumericColumn, float]] = {
        column.name: (column, float(design.scale_[start]))
        for column, start in zip(design.columns_, design.start_, strict=True)
        if isinstance(column, NumericColumn)
    }
    error: Floats = np.full(len(cells), np.nan)
    for name, own in cells.groupby("column", sort=False).indices.items():
        if name in scales:
            column, spread = scales[name]
            means, observed = (cells[part].to_numpy(dtype=np.float64)[own] for part in ("mean", "observed"))
            error[own] = (column.to_model(means) - column.to_model(observed)) / spread
    return cells.assign(error=error).dropna(subset=["error"]).reset_index(drop=True)


def _draws(
    imputer: BootstrapEMImputer, values: Floats, columns: NDArray[Any], draws: int, rng: np.random.Generator
) -> Floats:
    """Draws of one more missing cell of each row, shape (rows, draws), standardised."""
    values[np.arange(len(values)), columns] = np.nan
    missing = np.isnan(values)
    place = np.cumsum(missing.sum(axis=1)) - missing.sum(axis=1)
    # Cells to the left of the one taken out come before it in the list.
    place = place + (missing & (np.arange(missing.shape[1]) < columns[:, None])).sum(axis=1)
    limits = imputer.design_.model_bounds(imputer.bounds or {})
    which = np.nonzero(missing)[1]
    bounds = None if limits is None else (limits[0][which], limits[1][which])
    data = Incomplete.of(values)
    out = np.empty((len(values), draws))
    with single_blas(), workers(imputer.n_jobs, data.patterns) as pool:
        for k in range(draws):
            chain = imputer.chains_[k % len(imputer.chains_)]
            cells, _ = conditional_draws(
                data, chain, rng, bounds=bounds, max_resample=imputer.max_resample, pool=pool
            )
            out[:, k] = cells[place]
    return out


def _compare(
    imputer: BootstrapEMImputer,
    frame: pd.DataFrame,
    values: Floats,
    rows: NDArray[Any],
    columns: NDArray[Any],
    drawn: Floats,
    level: float,
) -> pd.DataFrame:
    design = imputer.design_
    gaps = np.isnan(values[rows])
    others = max(values.shape[1] - 1, 1)
    parts = []
    for column, j in zip(design.columns_, design.start_, strict=True):
        at = columns == j
        if not isinstance(column, NumericColumn) or not at.any():
            continue
        cells = column.decode(drawn[at] * design.scale_[j] + design.center_[j])
        # Ranks of a new value among n draws are even on 1..n+1, which these quantiles account for.
        low, high = np.quantile(cells, [(1 - level) / 2, (1 + level) / 2], axis=1, method="weibull")
        observed = frame[column.name].to_numpy(dtype=np.float64, na_value=np.nan)[rows[at]]
        parts.append(
            pd.DataFrame(
                {
                    "row": rows[at],
                    "column": column.name,
                    "observed": observed,
                    "mean": cells.mean(axis=1),
                    "low": low,
                    "high": high,
                    "covered": (low <= observed) & (observed <= high),
                    "missing_share": gaps[at].sum(axis=1) / others,
                }
            )
        )
    if not parts:
        raise ValueError("overimputation needs observed cells of numeric columns, got none")
    return pd.concat(parts, ignore_index=True)
