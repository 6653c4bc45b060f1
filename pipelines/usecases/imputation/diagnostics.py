"""What a data scientist asks of a fitted imputer: missing information, dispersed starts, sensitivity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.imputation.dispersion import Dispersion, disperse
from models.imputation.fraction import needed_table
from models.imputation.imputer import BootstrapEMImputer
from models.imputation.pooling import means, pool_over
from models.imputation.sensitivity import Sensitivity, delta_sensitivity
from pipelines.usecases.imputation.dataset import Wide
from pipelines.usecases.imputation.fitting import hold_limits, limit_priors, usable_frame
from pipelines.usecases.imputation.params import ImputationParams, SensitivityParams

#: Most parts looked at, the newest: what is asked here does not get surer with more.
MOST_PARTS = 20_000
#: Data sets from which fractions of missing information are told; on five they are little more than a guess.
_DATA_SETS = 20
_STARTS = 5


@dataclass(frozen=True)
class Diagnostics:
    """Answers about the training parts.

    Attributes
    ----------
    information
        Per sensor: ``fmi`` of its mean, and ``m`` that the fraction calls for.
    dispersion
        Ends and paths of EM from dispersed starts.
    sensitivities
        Sensor, line and what shifts of the line's missing cells do to its difference from the others.
    """

    information: pd.DataFrame
    dispersion: Dispersion
    sensitivities: list[tuple[str, str, Sensitivity]]


def diagnose(model: BootstrapEMImputer, fitted: Wide, params: ImputationParams) -> Diagnostics:
    """Ask a model about the parts that it was fitted on."""
    first = max(0, len(fitted.parts) - MOST_PARTS)
    wide = fitted.take(np.arange(first, len(fitted.parts))) if first else fitted
    frame = usable_frame(model, wide)
    tables = list(completed_numbers(model, wide, _DATA_SETS, seed=params.seed))
    information = needed_table(pool_over(tables, means))
    return Diagnostics(
        information,
        disperse(model, frame, starts=_STARTS, seed=params.seed),
        _sensitivities(wide, tables[: params.model.m], information, params.sensitivity),
    )


def completed_numbers(model: BootstrapEMImputer, wide: Wide, m: int, *, seed: int) -> Iterator[pd.DataFrame]:
    """Completed data sets, the modelled sensors of numbers only."""
    frame = usable_frame(model, wide)
    for table in model.iter_complete(frame, m, seed=seed, priors=limit_priors(wide) or None):
        held = hold_limits(wide, table)
        numeric = [name for name in wide.numeric if name in held.columns and held[name].notna().all()]
        yield held[numeric]


def _sensitivities(
    wide: Wide, tables: Sequence[pd.DataFrame], information: pd.DataFrame, params: SensitivityParams
) -> list[tuple[str, str, Sensitivity]]:
    """Of the sensors with the most missing information: the line that differs most from the others."""
    lines = wide.parts["line"].to_numpy()
    found: list[tuple[str, str, Sensitivity]] = []
    numeric = set(wide.sensors.loc[wide.sensors["kind"] == "numeric", "sensor_id"])
    for sensor in information.index:
        if len(found) == params.sensors:
            break
        if sensor not in numeric or sensor not in tables[0]:
            continue
        line = _most_different(tables[0][sensor].to_numpy(), lines)
        if line is None:
            continue
        own = lines == line
        gaps = wide.values[sensor].isna().to_numpy() & own
        if not gaps.any() or not wide.values[sensor].std() > 0:
            continue

        def difference(
            table: pd.DataFrame, sensor: str = sensor, own: NDArray[np.bool_] = own, line: str | None = line
        ) -> tuple[pd.Series, pd.Series]:
            values = table[sensor].to_numpy(dtype=np.float64)
            here, there = values[own], values[~own]
            variance = here.var(ddof=1) / len(here) + there.var(ddof=1) / len(there)
            named = [f"the difference of {line}"]
            return pd.Series([here.mean() - there.mean()], named), pd.Series([variance], named)

        answer = delta_sensitivity(wide.values, tables, sensor, difference, deltas=params.deltas, where=own)
        found.append((sensor, line, answer))
    return found


def _most_different(values: NDArray[np.float64], lines: NDArray[np.object_]) -> str | None:
    """Line, of at least 20 parts, whose mean is furthest from the others' in standard errors; None if alone."""
    best, furthest = None, 0.0
    for line in np.unique(lines):
        own = lines == line
        if min(own.sum(), (~own).sum()) < 20:
            continue
        here, there = values[own], values[~own]
        error = np.sqrt(here.var() / len(here) + there.var() / len(there))
        distance = abs(here.mean() - there.mean()) / error if error > 0 else 0.0
        if distance > furthest:
            best, furthest = str(line), distance
    return best
