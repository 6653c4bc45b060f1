"""Ten tables with missing cells, the same wherever they are made: what the golden values of Amelia were made from.

``python -m tests.models.imputation.synthetic FOLDER`` writes them, and Amelia's panels from the public data.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

NUMBER = 10


def synthetic(k: int) -> pd.DataFrame:
    """Table number ``k``: correlated normals of different size and scale, missing by an observed column.

    Rows lose a cell more often where the first column, which is complete, is high.
    """
    rng = np.random.default_rng([2026, k])
    p = 3 + k % 5
    n = 150 + 25 * k
    loadings = rng.normal(size=(p, 2))
    values = rng.normal(size=(n, 2)) @ loadings.T + 0.7 * rng.normal(size=(n, p))
    share = 0.1 + 0.03 * k
    chance = np.clip(share * (1 + 0.8 * np.tanh(values[:, :1])), 0, 0.9)
    missing = rng.random((n, p)) < chance
    missing[:, 0] = False
    scale = 10.0 ** rng.integers(-2, 4, p)
    table = np.where(missing, np.nan, values * scale + 5 * scale)
    return pd.DataFrame(table, columns=[f"x{j}" for j in range(p)])


def main(folder: Path, data: Path) -> None:
    """Write all tables as CSV with every digit."""
    for k in range(NUMBER):
        synthetic(k).to_csv(folder / f"synthetic{k}.csv", index=False, float_format="%.17g")
    for name in ("africa", "freetrade"):
        pd.read_parquet(data / "amelia" / f"{name}.parquet").to_csv(
            folder / f"{name}.csv", index=False, float_format="%.17g"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
