"""What a fit found: every column, every chain."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from models.imputation.em import Convergence
from models.imputation.preflight import Preflight


@dataclass(frozen=True)
class ImputationReport:
    """What the fit found.

    Attributes
    ----------
    preflight : Preflight
    reference : Convergence
        EM on all rows.
    chains : list of Convergence
        EM on each resample.
    seconds : float
    """

    preflight: Preflight
    reference: Convergence
    chains: list[Convergence]
    seconds: float

    @property
    def converged(self) -> bool:
        """Whether all chains did."""
        return self.reference.converged and all(chain.converged for chain in self.chains)

    def table(self) -> pd.DataFrame:
        """One row per chain, all rows together first."""
        rows = [
            ("all rows", self.reference),
            *((f"chain {k}", chain) for k, chain in enumerate(self.chains, 1)),
        ]
        return pd.DataFrame([
            {
                "chain": name,
                "converged": one.converged,
                "stopped_by": one.stopped_by,
                "iterations": one.iterations,
                "change": one.change,
                "condition": one.condition,
                "ridge": one.ridge,
                "flat_columns": ", ".join(one.flat_columns),
                "seconds": one.seconds,
            }
            for name, one in rows
        ])  # fmt: skip
