"""Against Amelia II: ten simulated tables and its two panels, by every option that both have.

``amelia.json`` holds golden values, made by the command in the header of ``amelia.R``: Amelia 1.8.1, R 4.2.2.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from models.imputation.imputer import BootstrapEMImputer
from models.imputation.panel import Panel
from models.imputation.priors import CellPrior

HERE = Path(__file__).parent
#: Completed data sets of ours; Amelia made 200.
M = 100

PANELS: dict[str, tuple[str, dict[str, Any]]] = {
    "africa": ("africa", {}),
    "africa_log": ("africa", {"transforms": {"gdp_pc": "log"}}),
    "africa_panel": ("africa", {"panel": Panel("year", "country", 1, True)}),
    "africa_prior": (
        "africa",
        {"priors": [CellPrior(34, "trade", 40, 3), CellPrior(41, "gdp_pc", 900, 50)]},
    ),
    "freetrade": ("freetrade", {}),
    "freetrade_lags": ("freetrade", {"panel": Panel("year", "country", lags=["tariff"], leads=["tariff"])}),
    "freetrade_ridge": ("freetrade", {"ridge": 0.01}),
    "freetrade_bounds": ("freetrade", {"bounds": {"tariff": (10, 50)}}),
}


@cache
def golden() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((HERE / "amelia.json").read_text())
    return found


def tables() -> Any:
    import importlib.util

    spec = importlib.util.spec_from_file_location("synthetic", HERE / "synthetic.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.synthetic


def answers(table: pd.DataFrame, columns: list[str], **options: Any) -> tuple[np.ndarray, np.ndarray]:
    """Means and covariances of every completed table, and its first 40 imputed cells, in observed sds."""
    imputer = BootstrapEMImputer(M, **({"ridge": 0.0} | options)).fit(table)
    assert imputer.report_.converged
    observed = table[columns].astype(float)
    center, scale = observed.mean().to_numpy(), observed.std().to_numpy()
    gaps, lower = observed.isna().to_numpy(), np.triu_indices(len(columns))
    moments, cells = [], []
    for completed in imputer.iter_completed():
        z = (completed[columns].to_numpy(dtype=float) - center) / scale
        moments.append(np.append(z.mean(axis=0), np.cov(z, rowvar=False)[lower]))
        cells.append(z[gaps][:40])
    return np.array(moments), np.array(cells)


def check(name: str, table: pd.DataFrame, **options: Any) -> None:
    """Equal within Monte Carlo error: in the mean over data sets, and in how much data sets differ."""
    theirs = golden()[name]
    ours = dict(zip(("", "cells_"), answers(table, theirs["columns"], **options), strict=True))
    for prefix, found in ours.items():
        mean, sd = (np.array(theirs[f"{prefix}{key}"]) for key in ("mean", "sd"))
        spread = found.std(axis=0, ddof=1)
        fixed = sd < 1e-6  # nothing missing: equal but for the digits printed
        np.testing.assert_allclose(found.mean(axis=0)[fixed], mean[fixed], atol=2e-6, rtol=2e-5)
        error = np.sqrt(sd**2 / theirs["m"] + spread**2 / M)[~fixed]
        z = (found.mean(axis=0) - mean)[~fixed] / error
        assert np.abs(z).max() < 4.5
        assert np.sqrt(np.mean(z**2)) < 1.7  # correlated, so that one off means many off
        # A standard deviation of 100 values is known to 7 %, one of 200 to 5 %.
        ratio = spread[~fixed] / sd[~fixed]
        assert ratio.min() > 0.5
        assert ratio.max() < 1.5
        assert np.median(ratio) == pytest.approx(1, abs=0.12)


@pytest.mark.parametrize("k", range(10))
def test_simulated_tables(k):
    check(f"synthetic{k}", tables()(k))


@pytest.mark.real_data
@pytest.mark.parametrize("name", PANELS)
def test_panels_of_amelia(name, data_dir):
    source, options = PANELS[name]
    table = pd.read_parquet(data_dir / "amelia" / f"{source}.parquet")
    if "panel" not in options:
        table = table[golden()[name]["columns"]]
    check(name, table, **options)
