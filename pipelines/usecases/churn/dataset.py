"""Frames that training and scoring read: the same columns, from the same tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset
from numpy.typing import NDArray

from pipelines.errors import DataContractError
from pipelines.io.frames import model_frame
from pipelines.io.hashing import content_hash
from pipelines.io.lake import on_day
from pipelines.monitoring.subjects import Subjects
from pipelines.usecase import Run
from pipelines.usecases.churn.params import ChurnParams

FEATURES_MART, LABELS_MART = "ml_churn_features", "ml_churn_labels"
FEATURES = "features/churn"
LABELS = "features/churn_labels"
SEGMENTS = ("plan_tier", "size_band", "sector")
KEY = ("as_of", "account_key")

#: What is watched for drift.
SUBJECTS = Subjects("account_key", "accounts", SEGMENTS, whole="the portfolio", outcome="churned")

#: Fewest monthly snapshots of which some can be held out and the rest cut into folds.
MIN_SNAPSHOTS = 8


@dataclass(frozen=True)
class Training:
    """Stack of past snapshots of the accounts in scope, ordered by snapshot and pseudonym."""

    #: The joined rows themselves, for models that were fitted on other columns.
    rows: pa.Table
    #: One column per feature of the contract.
    X: pd.DataFrame
    #: Label, shape (n,).
    churned: NDArray[np.bool_]
    #: ``as_of`` (the snapshot), ``account_key`` and the segment columns.
    keys: pd.DataFrame
    #: Lake version read of each table, and a hash of all features and labels.
    versions: dict[str, int]
    fingerprint: str


def read_training(run: Run[ChurnParams]) -> Training:
    """Join features and labels of the past days; those before the history begins are left out.

    Raises ``DataContractError`` if a snapshot within the history lacks features or labels, or it is too
    short.
    """
    lake, snapshots = run.lake, run.params.origins(run.as_of)
    versions = {name: lake.version(name) for name in (FEATURES, LABELS)}
    wanted = pa_dataset.field("as_of").isin(snapshots)
    rows = lake.read(FEATURES, where=wanted & pa_dataset.field("in_scope"), version=versions[FEATURES])
    labels = lake.read(LABELS, columns=[*KEY, "churned"], where=wanted, version=versions[LABELS])
    _check_snapshots(FEATURES, rows, snapshots)
    _check_snapshots(LABELS, labels, snapshots)
    joined = rows.join(labels, keys=list(KEY), join_type="inner").sort_by([(k, "ascending") for k in KEY])
    if joined.num_rows != rows.num_rows:
        raise DataContractError(
            f"every account in scope must have a label, got {rows.num_rows} rows in scope and "
            f"{joined.num_rows} labelled ones"
        )
    return Training(
        rows=joined,
        X=model_frame(joined, list(run.mart(FEATURES_MART).themes)),
        churned=joined["churned"].to_numpy().astype(np.bool_),
        keys=joined.select([*KEY, *SEGMENTS]).to_pandas(),
        versions=versions,
        fingerprint=content_hash(joined, sort_by=KEY),
    )


def _check_snapshots(name: str, rows: pa.Table, snapshots: Sequence[date]) -> None:
    """Accept a history that begins later than the oldest snapshots, but no gap within it."""
    there = set(rows["as_of"].unique().to_pylist())
    begun = [day for day in snapshots if there and day >= min(there)]
    missing = [day for day in begun if day not in there]
    if missing or len(begun) < MIN_SNAPSHOTS:
        days = ", ".join(map(str, (missing or snapshots)[:5]))
        raise DataContractError(
            f"{name} must hold at least {MIN_SNAPSHOTS} snapshots without a gap, got {len(there)} of "
            f"{len(snapshots)} (missing: {days}): `millrace train churn` prepares them; if it did, the raw "
            "tables reach back too short"
        )


def read_scope(run: Run[ChurnParams]) -> tuple[pa.Table, pa.Table]:
    """Feature rows of a day in scope, and the keys and reasons of those out of scope; both sorted.

    Raises ``DataContractError`` if the day was not prepared.
    """
    as_of = run.as_of
    rows = run.lake.read(FEATURES, where=on_day(as_of))
    if rows.num_rows == 0:
        raise DataContractError(
            f"{FEATURES} has no rows for {as_of}: trigger churn_features with as_of={as_of} or run "
            f"`millrace score churn --as-of {as_of}`, which prepares them"
        )
    rows = rows.sort_by([(name, "ascending") for name in KEY])
    inside = rows["in_scope"]
    return rows.filter(inside), rows.filter(pc.invert(inside)).select([*KEY, "scope_reason"])
