"""Rows that a training leaves in the lake: the cuts, the tree, the axes, stability and validation."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa

from features.schemas import Table
from models.clustering.kinds import SCALED, Kind
from pipelines.io.audit import Audit
from pipelines.io.lake import Lake
from pipelines.usecases.clustering.schemas import AXES, CHOICES, STABILITY, TREES, VALIDATION
from pipelines.usecases.clustering.wording import label

if TYPE_CHECKING:
    from pipelines.usecases.clustering.dataset import Stores
    from pipelines.usecases.clustering.train import Trained

#: Variables named per axis.
_PER_AXIS = 4


def publish_training(lake: Lake, as_of: date, stores: Stores, trained: Trained, version: str) -> None:
    """Commit the tables of a training; validation comes last, the gate goes by it."""
    tables: Sequence[tuple[Table, pd.DataFrame]] = (
        (CHOICES, _choices(trained)),
        (TREES, _tree(trained)),
        (AXES, _axes(stores, trained)),
        (STABILITY, _stability(trained)),
        (VALIDATION, trained.validation),
    )
    for table, rows in tables:
        commit_day(lake, table, as_of, rows, version)


def commit_day(
    lake: Lake, table: Table, as_of: date, rows: pd.DataFrame, version: str, audits: Sequence[Audit] = ()
) -> int:
    """Replace the partition of a day; returns the lake version."""
    complete = rows.assign(as_of=as_of, model_version=version)
    data = pa.Table.from_pandas(
        complete[table.column_names], schema=table.arrow_schema, preserve_index=False, safe=False
    )
    metadata = {"model_version": version}
    commit = lake.replace_partition(table, data, {"as_of": as_of}, audits=audits, metadata=metadata)
    return commit.version


def _choices(trained: Trained) -> pd.DataFrame:
    curve = trained.groups.clustering_.choice_
    whole = float(curve["within_inertia"].iloc[0]) or 1.0
    return pd.DataFrame(
        {
            "n_clusters": curve["n_clusters"].astype(int),
            "within_share": curve["within_share"],
            "inertia_gain": or_none(curve["inertia_gain"] / whole),
            "silhouette": or_none(curve["silhouette"]),
            "chosen": curve["chosen"].astype(bool),
        }
    )


def _tree(trained: Trained) -> pd.DataFrame:
    merges = trained.groups.clustering_.linkage_matrix_
    return pd.DataFrame(
        {
            "step": np.arange(len(merges)),
            "left": merges[:, 0].astype(int),
            "right": merges[:, 1].astype(int),
            "height": np.maximum(merges[:, 2], 0.0),
            "stores": merges[:, 3].astype(int),
        }
    )


def _axes(stores: Stores, trained: Trained) -> pd.DataFrame:
    model = trained.groups.clustering_
    words = axis_words(trained.groups.prepared(stores.X), trained.variables.kinds, model.coordinates_)
    return pd.DataFrame(
        {
            "axis": np.arange(1, len(model.explained_) + 1),
            "explained": np.clip(model.explained_, 0.0, 1.0),
            "words": words,
        }
    )


def _stability(trained: Trained) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "cluster": trained.stability["name"],
            "stores": trained.stability["size"].astype(int),
            "jaccard": trained.stability["jaccard"],
            "recovered": trained.stability["recovered"],
            "dissolved": trained.stability["dissolved"],
            "state": trained.stability["verdict"].astype(str),
        }
    )


def axis_words(prepared: pd.DataFrame, kinds: dict[str, str], coordinates: np.ndarray) -> list[str]:
    """Name the variables that grow and fall along each axis, by their correlation with it."""
    columns: dict[tuple[str, str], np.ndarray] = {}
    for name, kind in kinds.items():
        column = prepared[name]
        if Kind(kind) is Kind.NOMINAL:
            for category in sorted(set(column.dropna())):
                columns[name, str(category)] = (column == category).to_numpy(np.float64)
        elif Kind(kind) in SCALED and isinstance(column.dtype, pd.CategoricalDtype):
            codes = column.cat.codes.to_numpy(np.float64)
            columns[name, ""] = np.where(codes < 0, np.nan, codes)
        else:
            columns[name, ""] = column.to_numpy(np.float64)
    table = pd.DataFrame(columns)
    found = []
    for axis in range(coordinates.shape[1]):
        correlation = table.corrwith(pd.Series(coordinates[:, axis], index=table.index)).dropna()
        top = correlation.reindex(correlation.abs().sort_values(ascending=False, kind="stable").index)
        found.append("; ".join(_direction(top[:_PER_AXIS], up=up) for up in (True, False)))
    return found


def _direction(correlation: pd.Series, *, up: bool) -> str:
    names = [
        label(variable).name + (f" {category}" if category else "")
        for (variable, category), value in zip(correlation.index.tolist(), correlation.tolist(), strict=True)
        if (value > 0) is up
    ]
    side = "right" if up else "left"
    return f"{side}: {', '.join(names) if names else 'nothing in particular'}"


def or_none(column: pd.Series) -> pd.Series:
    """Numbers with None where they are not finite: Arrow would store NaN, which is not null."""
    values = column.to_numpy(np.float64)
    found = [value if np.isfinite(value) else None for value in values.tolist()]
    return pd.Series(found, index=column.index, dtype=object)
