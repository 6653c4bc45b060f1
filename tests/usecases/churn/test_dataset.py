"""A model is given the columns that it was fitted on, whatever the contract says today."""

from __future__ import annotations

from types import SimpleNamespace

import pyarrow as pa
import pytest

from pipelines.errors import ModelGateError
from pipelines.io.frames import model_features, model_frame
from pipelines.io.marts import mart_contract
from pipelines.settings import Settings


def test_a_champion_from_before_a_change_of_the_contract_gets_its_own_columns() -> None:
    contract = mart_contract(Settings.load().dbt_project, "ml", "ml_churn_features")
    # Demoted: still a column of the table, no feature any more.
    assert "usage_trend_4w" in contract.table.column_names
    assert "usage_trend_4w" not in contract.themes
    rows = pa.table({"usage_trend_4w": [0.5, None], "tickets_30d": [1, 2], "sector": ["retail", None]})
    champion = SimpleNamespace(feature_names_in_=["sector", "usage_trend_4w"])
    features = model_features(champion, rows, contract)
    assert features == {"sector": contract.themes["sector"], "usage_trend_4w": "other"}
    frame = model_frame(rows, list(features))
    assert frame.columns.tolist() == ["sector", "usage_trend_4w"]
    assert frame["usage_trend_4w"].isna().tolist() == [False, True]


def test_a_champion_whose_column_is_gone_says_so() -> None:
    champion = SimpleNamespace(feature_names_in_=["tickets_30d", "horoscope"])
    contract = mart_contract(Settings.load().dbt_project, "ml", "ml_churn_features")
    with pytest.raises(ModelGateError, match=r"no longer has: \['horoscope'\]"):
        model_features(champion, pa.table({"tickets_30d": [1]}), contract)
