"""Feature frames as estimators expect them, from rows of the lake."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.contracts import Contract
from pipelines.errors import ModelGateError


def model_frame(rows: pa.Table, features: Sequence[str]) -> pd.DataFrame:
    """Feature frame as the estimators expect it: numbers as floats, words as strings, null as NaN."""
    columns = {}
    for name in features:
        column = rows.column(name)
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            columns[name] = column.to_pandas().astype(object)
        else:
            columns[name] = column.cast(pa.float64()).to_pandas()
    return pd.DataFrame(columns)


def fullest_rows(frame: pd.DataFrame, count: int = 5) -> pd.DataFrame:
    """Rows with the fewest gaps, as an example of a model's input: of a column without any value no type is told."""
    fullest = frame.isna().sum(axis=1).sort_values(kind="stable").index[:count]
    return frame.loc[fullest].reset_index(drop=True)


def model_features(model: Any, rows: pa.Table, contract: Contract) -> dict[str, str]:
    """Columns that a fitted model expects, with their themes; ``other`` where today's contract has none."""
    names = model_columns(model, rows.column_names)
    return {name: contract.themes.get(name, "other") for name in names}


def model_columns(model: Any, available: Iterable[Hashable]) -> list[str]:
    """Columns that a fitted model takes.

    They may differ from today's contract: a champion goes on serving after a deployment that added features
    or demoted some. Raises ``ModelGateError`` if the table no longer has a column that the model needs.
    """
    names, there = [str(name) for name in model.feature_names_in_], set(available)
    gone = [name for name in names if name not in there]
    if gone:
        raise ModelGateError(
            f"the model needs columns that the feature table no longer has: {gone}; train a new one, or "
            "bring the columns back"
        )
    return names


def by_candidate(rows: pa.Table, key: Sequence[str] = ()) -> dict[str, pa.Table]:
    """Judged rows of each candidate, sorted by ``key``: the models first, then simpler rules by name."""
    names = sorted(
        pc.unique(rows["candidate"]).to_pylist(),
        key=lambda name: (name != "challenger", name != "champion", name),
    )
    order = [(name, "ascending") for name in key]
    parts = {name: rows.filter(pc.equal(rows["candidate"], name)) for name in names}
    return {name: part.sort_by(order) for name, part in parts.items()} if order else parts
