"""Dispersed starts: whether EM comes to the same answer from wherever it starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from models.imputation.em import EMOptions, Incomplete, Moments, run_em, workers
from models.imputation.imputer import BootstrapEMImputer
from models.imputation.threads import single_blas

#: Starts agree if no mean or covariance differs by more than so many tolerances of EM.
AGREE = 20.0


@dataclass(frozen=True)
class Dispersion:
    """Ends of EM from dispersed starts.

    Attributes
    ----------
    starts : int
    spread : float
        Largest difference between any two ends, of any mean or covariance, in standard deviations.
    agree : bool
        Whether that is within the tolerance of EM: one answer, not several local ones.
    converged : int
        Starts that converged.
    paths : DataFrame
        ``start``, ``iteration``, ``position``: how far the parameters are from the imputer's own answer along
        the direction in which starts differ most; all paths should end at the same place.
    """

    starts: int
    spread: float
    agree: bool
    converged: int
    paths: pd.DataFrame

    @property
    def words(self) -> str:
        """One sentence for people."""
        if self.agree:
            return f"{self.starts} dispersed starts end at the same answer (largest difference {self.spread:.2g})"
        return (
            f"{self.starts} dispersed starts end at different answers (largest difference {self.spread:.2g} standard "
            "deviations): the data do not determine the model; leave out columns or raise the ridge"
        )


def disperse(imputer: BootstrapEMImputer, X: Any, *, starts: int = 5, seed: int = 0) -> Dispersion:
    """Run EM on a table from dispersed starts.

    Parameters
    ----------
    imputer : BootstrapEMImputer
        Fitted; tells columns, transforms and options.
    X : DataFrame or array
        The table it was fitted on.
    starts : int
    seed : int
    """
    check_is_fitted(imputer, "chains_")
    if starts < 2:
        raise ValueError(f"starts must be at least 2, got {starts!r}")
    design = imputer.design_
    values = design.standardise(design.encode(imputer._frame(X, reset=False)))
    p = values.shape[1]
    options = EMOptions(
        imputer.report_.preflight.ridge, imputer.ridge_cap, imputer.tolerance, imputer.max_iter,
        imputer.max_seconds, imputer.max_condition,
    )  # fmt: skip
    upper = np.triu_indices(p)
    ends, tracks, converged = [], [], 0
    with single_blas():
        data = Incomplete.of(values)
        with workers(imputer.n_jobs, data.patterns) as pool:
            for own in np.random.SeedSequence(seed).spawn(starts):
                rng = np.random.default_rng(own)
                track: list[Moments] = []
                moments, convergence = run_em(
                    data, np.ones(len(values)), _start(p, rng), options, pool=pool,
                    watch=track.append,
                )  # fmt: skip
                converged += convergence.converged
                ends.append(np.append(moments.mean, moments.covariance[upper]))
                tracks.append(np.array([np.append(at.mean, at.covariance[upper]) for at in track]))
    spread = float(np.ptp(np.array(ends), axis=0).max())
    return Dispersion(
        starts,
        spread,
        bool(spread <= AGREE * imputer.tolerance and converged == starts),
        converged,
        _paths(tracks, ends),
    )


def _start(p: int, rng: np.random.Generator) -> Moments:
    """Means far apart, and a covariance of as few random rows as it takes to invert it."""
    rows = rng.standard_normal((2 * p + 2, p))
    return Moments.of(rng.standard_normal(p), rows.T @ rows / len(rows))


def _paths(tracks: list[Any], ends: list[Any]) -> pd.DataFrame:
    center = np.mean(ends, axis=0)
    offsets = np.concatenate([track - center for track in tracks])
    direction = np.linalg.svd(offsets, full_matrices=False)[2][0]
    return pd.concat(
        [
            pd.DataFrame(
                {"start": k, "iteration": np.arange(len(track)), "position": (track - center) @ direction}
            )
            for k, track in enumerate(tracks, 1)
        ],
        ignore_index=True,
    )
