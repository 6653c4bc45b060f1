"""IBM Telco customer churn: one CSV, one row per customer, no dates.

A single snapshot without history cannot feed the churn pipeline (there is nothing to compute features *as
of* a day from); it serves as a public benchmark of the classifier.

Layout of ``Telco-Customer-Churn.csv`` (7,043 rows): ``customerID`` (key), ``tenure`` (months), the charges
``MonthlyCharges`` and ``TotalCharges`` (USD; the total is blank for the 11 customers in their first month),
``SeniorCitizen`` (0 or 1), fifteen columns of words, and the outcome ``Churn`` (``Yes``: left within the
last month).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.errors import DataContractError

FILE = "Telco-Customer-Churn.csv"
KEY = "customerID"
OUTCOME = "Churn"
NUMBERS = ("SeniorCitizen", "tenure", "MonthlyCharges", "TotalCharges")
WORDS = (
    "gender", "Partner", "Dependents", "PhoneService", "MultipleLines", "InternetService", "OnlineSecurity",
    "OnlineBackup", "DeviceProtection", "TechSupport", "StreamingTV", "StreamingMovies", "Contract",
    "PaperlessBilling", "PaymentMethod",
)  # fmt: skip


@dataclass(frozen=True)
class Telco:
    """The data set, in the order of the file.

    Attributes
    ----------
    X : DataFrame of shape (n, 19)
        Numbers as floats (a blank total is NaN), words as strings.
    y : ndarray of shape (n,), bool
        Whether the customer left.
    """

    X: pd.DataFrame
    y: NDArray[np.bool_]


def read_telco(path: Path) -> Telco:
    """Read and check the file.

    Parameters
    ----------
    path : Path
        The CSV file, or the folder it is in.

    Raises
    ------
    DataContractError
        The file is missing, is no CSV, lacks columns, or holds a value that its column cannot.
    """
    file = path / FILE if path.is_dir() else path
    try:
        raw = pd.read_csv(file, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise DataContractError(f"{file} must exist: the IBM Telco customer churn CSV") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DataContractError(f"{file.name} must be a CSV with a header line: {error}") from None
    missing = [name for name in (KEY, *NUMBERS, *WORDS, OUTCOME) if name not in raw]
    if missing:
        raise DataContractError(f"{file.name} must have all columns of the layout, missing: {missing}")
    _check(file.name, raw)
    numbers = {name: pd.to_numeric(raw[name].str.strip().replace("", np.nan)) for name in NUMBERS}
    words = {name: raw[name].astype(object) for name in WORDS}
    return Telco(
        pd.DataFrame({**numbers, **words}).astype(dict.fromkeys(NUMBERS, np.float64)),
        raw[OUTCOME].eq("Yes").to_numpy(dtype=np.bool_),
    )


def _check(name: str, raw: pd.DataFrame) -> None:
    if raw[KEY].duplicated().any():
        twice = raw.loc[raw[KEY].duplicated(), KEY]
        raise DataContractError(f"{name}: {KEY} must be unique; offending: {list(twice[:5])} of {len(twice)}")
    strange = raw.loc[~raw[OUTCOME].isin(["Yes", "No"])]
    if len(strange):
        raise DataContractError(
            f"{name}: {OUTCOME} must be Yes or No, got {sorted(set(strange[OUTCOME]))[:5]}; "
            f"offending: {list(strange[KEY][:5])} of {len(strange)}"
        )
    for column in NUMBERS:
        text = raw[column].str.strip()
        broken = pd.to_numeric(text, errors="coerce").isna() & (text.ne("") | (column != "TotalCharges"))
        if broken.any():
            raise DataContractError(
                f"{name}: {column} must be a number, got {sorted(set(raw.loc[broken, column]))[:5]}; "
                f"offending: {list(raw.loc[broken, KEY][:5])} of {int(broken.sum())}"
            )
