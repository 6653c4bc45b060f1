"""Groups of stores in forecasting: an attribute where stores were grouped, nothing at all where they were not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines.settings import Settings
from pipelines.usecases.demand import USECASE
from pipelines.usecases.demand.dataset import PROFILE, read_dataset
from pipelines.usecases.demand.training import example_features
from tests.usecases.demand.conftest import AS_OF, HISTORY, HORIZON, Chain, contract


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    made = Chain(Settings(var=tmp_path))
    made.write_features()
    return made


def features(chain: Chain) -> pd.DataFrame:
    given = {"horizon_days": HORIZON, "features.history_days": HISTORY}
    params = USECASE.load_params(chain.settings, given)
    return example_features(read_dataset(USECASE.run(AS_OF, chain.settings, params)).open(AS_OF))


def test_without_groups_the_models_see_what_they_always_saw(chain: Chain) -> None:
    assert "store_cluster" not in features(chain).columns


def test_with_groups_they_are_a_word_like_any_other(chain: Chain, monkeypatch: Any) -> None:
    plain = features(chain)
    declared = contract("ml_demand_profile")
    rows = chain.lake.read(PROFILE).to_pandas()
    rows["store_cluster"] = np.where(rows["store_id"] == "S001", "A", "B")
    from tests.usecases.demand.conftest import rows_of

    chain.lake.overwrite(declared, rows_of(declared, rows))
    grouped = features(chain)
    assert set(grouped["store_cluster"]) == {"A"}, "the example rows are of the first store"
    pd.testing.assert_frame_equal(grouped.drop(columns="store_cluster"), plain)
