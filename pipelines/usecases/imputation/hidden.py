"""Overimputation out of time: cells of parts that no model saw are taken out, imputed and compared.

Errors of all candidates are measured on one scale, that of the challenger: the sensor's own where it is about
normal, in standard deviations. Grades and words have no interval and are not judged.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.imputation.imputer import BootstrapEMImputer
from models.imputation.overimpute import overimpute
from models.imputation.transforms import NumericColumn
from pipelines.usecases.imputation.dataset import Wide
from pipelines.usecases.imputation.fitting import usable_frame
from pipelines.usecases.imputation.params import OverimputationParams

KEY = ["row", "column"]


def judge(
    model: BootstrapEMImputer,
    reference: BootstrapEMImputer,
    wide: Wide,
    params: OverimputationParams,
    *,
    seed: int,
) -> pd.DataFrame:
    """Impute observed cells of a wide table as if they were missing.

    Parameters
    ----------
    reference
        Model whose scale the errors are measured on: the same for all candidates.

    Returns
    -------
    DataFrame
        ``row``, ``column``, ``observed``, ``mean``, ``low``, ``high``, ``covered``, ``missing_share`` and
        ``error``.
    """
    frame = usable_frame(model, wide)
    found = overimpute(
        model, frame, level=0.9, draws=params.draws, cells_per_column=params.cells_per_sensor, seed=seed
    )
    return _with_errors(found.cells, reference)


def judge_mean(reference: BootstrapEMImputer, fitted: Wide, cells: pd.DataFrame) -> pd.DataFrame:
    """Fill in the mean of the training parts: the baseline, whose interval is the value alone."""
    means = fitted.values[sorted(cells["column"].unique())].mean()
    predicted = means.loc[cells["column"]].to_numpy(dtype=np.float64)
    filled = cells.assign(
        mean=predicted, low=predicted, high=predicted, covered=predicted == cells["observed"]
    )
    return _with_errors(filled, reference)


def common(first: pd.DataFrame, second: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The cells that two candidates were judged on, in one order."""
    both = first[KEY].merge(second[KEY], on=KEY)
    return both.merge(first, on=KEY), both.merge(second, on=KEY)


def _with_errors(cells: pd.DataFrame, reference: BootstrapEMImputer) -> pd.DataFrame:
    design = reference.design_
    scales: dict[Any, tuple[NumericColumn, float]] = {
        column.name: (column, float(design.scale_[start]))
        for column, start in zip(design.columns_, design.start_, strict=True)
        if isinstance(column, NumericColumn)
    }
    error: NDArray[np.float64] = np.full(len(cells), np.nan)
    for name, own in cells.groupby("column", sort=False).indices.items():
        if name in scales:
            column, spread = scales[name]
            means, observed = (cells[part].to_numpy(dtype=np.float64)[own] for part in ("mean", "observed"))
            error[own] = (column.to_model(means) - column.to_model(observed)) / spread
    # A sensor that only the other candidate models has no common scale.
    return cells.assign(error=error).dropna(subset=["error"]).reset_index(drop=True)
