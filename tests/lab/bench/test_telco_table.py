"""The Telco adapter: what it reads, what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.errors import DataContractError
from pipelines.lab.bench.telco_table import FILE, KEY, NUMBERS, OUTCOME, WORDS, read_telco

ROW = {
    KEY: "7590-VHVEG", "gender": "Female", "SeniorCitizen": "0", "Partner": "Yes", "Dependents": "No",
    "tenure": "1", "PhoneService": "No", "MultipleLines": "No phone service", "InternetService": "DSL",
    "OnlineSecurity": "No", "OnlineBackup": "Yes", "DeviceProtection": "No", "TechSupport": "No",
    "StreamingTV": "No", "StreamingMovies": "No", "Contract": "Month-to-month", "PaperlessBilling": "Yes",
    "PaymentMethod": "Electronic check", "MonthlyCharges": "29.85", "TotalCharges": "29.85", OUTCOME: "No",
}  # fmt: skip


def write(folder, *changes, drop=()):
    rows = [{**ROW, KEY: f"c{i}", **change} for i, change in enumerate(changes)]
    names = [name for name in ROW if name not in drop]
    lines = [",".join(names), *(",".join(row[name] for name in names) for row in rows)]
    (folder / FILE).write_text("\n".join(lines) + "\n")
    return folder


def test_numbers_words_and_outcome(tmp_path):
    telco = read_telco(write(tmp_path, {}, {"TotalCharges": " ", "tenure": "0", OUTCOME: "Yes"}))
    assert list(telco.X.columns) == [*NUMBERS, *WORDS]
    assert telco.y.tolist() == [False, True]
    np.testing.assert_array_equal(telco.X["TotalCharges"], [29.85, np.nan])
    assert telco.X["tenure"].tolist() == [1.0, 0.0]
    assert telco.X["Contract"].tolist() == ["Month-to-month"] * 2


def test_the_file_itself_may_be_given(tmp_path):
    assert len(read_telco(write(tmp_path, {}) / FILE).y) == 1


@pytest.mark.parametrize(
    ("changes", "drop", "message"),
    [
        ([{}], ("Contract", OUTCOME), r"missing: \['Contract', 'Churn'\]"),
        ([{OUTCOME: "maybe"}], (), r"Churn must be Yes or No, got \['maybe'\]; offending: \['c0'\] of 1"),
        ([{}, {KEY: "c0"}], (), r"customerID must be unique; offending: \['c0'\] of 1"),
        ([{"tenure": "long"}], (), r"tenure must be a number, got \['long'\]; offending: \['c0'\] of 1"),
        ([{"MonthlyCharges": " "}], (), r"MonthlyCharges must be a number, got \[' '\]"),
        ([{"TotalCharges": "n/a"}], (), r"TotalCharges must be a number, got \['n/a'\]"),
    ],
)
def test_what_breaks_the_layout_is_named(tmp_path, changes, drop, message):
    with pytest.raises(DataContractError, match=message):
        read_telco(write(tmp_path, *changes, drop=drop))


def test_missing_or_empty_file_is_a_clear_error(tmp_path):
    with pytest.raises(DataContractError, match=r"Telco-Customer-Churn\.csv must exist"):
        read_telco(tmp_path)
    (tmp_path / FILE).write_text("")
    with pytest.raises(DataContractError, match="must be a CSV with a header line"):
        read_telco(tmp_path)


@pytest.mark.real_data
def test_the_public_file(data_dir):
    telco = read_telco(data_dir / "telco")
    assert telco.X.shape == (7043, 19)
    assert telco.y.sum() == 1869
    blank = telco.X["TotalCharges"].isna()
    assert blank.sum() == 11
    assert (telco.X.loc[blank, "tenure"] == 0).all()
