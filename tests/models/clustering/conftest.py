"""Stores whose groups are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

KINDS = {
    "turnover": "numeric",
    "sunday": "numeric",
    "uplift": "numeric",
    "type": "nominal",
    "size": "ordinal",
    "bakery": "asymmetric_binary",
}
LEVELS = ["small", "medium", "large"]


def make_stores(n: int = 150, seed: int = 0, *, missing: float = 0.03) -> tuple[pd.DataFrame, np.ndarray]:
    """Three groups that differ in everything, with noise and gaps."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 3, n)
    frame = pd.DataFrame(
        {
            "turnover": 5000 + 3000 * group + rng.normal(0, 700, n),
            "sunday": np.clip(np.where(group == 2, 0.9, 0.05) + rng.normal(0, 0.05, n), 0, 1),
            "uplift": 1.2 + 0.2 * (group == 1) + rng.normal(0, 0.06, n),
            "type": np.where(rng.random(n) < 0.9, np.array(list("abc"))[group], "a").astype(object),
            "size": pd.Categorical(np.array(LEVELS, dtype=object)[group], LEVELS, ordered=True),
            "bakery": np.where(rng.random(n) < 0.9, group == 1, group != 1).astype(float),
        },
        index=[f"S{i:03d}" for i in range(n)],
    )
    return frame.mask(rng.random(frame.shape) < missing), group


@pytest.fixture(scope="session")
def stores() -> pd.DataFrame:
    return make_stores()[0]


@pytest.fixture(scope="session")
def truth() -> np.ndarray:
    return make_stores()[1]


@pytest.fixture(scope="session")
def kinds() -> dict[str, str]:
    return dict(KINDS)
