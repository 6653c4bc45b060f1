"""What training and scoring read: customers in scope, and what they took within the horizon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pa_dataset

from pipelines.errors import DataContractError
from pipelines.io.hashing import content_hash
from pipelines.io.lake import on_day
from pipelines.monitoring.subjects import Subjects
from pipelines.usecase import Run
from pipelines.usecases.propensity.params import PropensityParams

FEATURES, LABELS = "ml_propensity_features", "ml_propensity_labels"
KEY = ("as_of", "customer_key")
#: The column of holdings, and columns of lists of which a product's forest sees only its own.
HELD = "held"
OWN = (
    "dropped_lately",
    "contacted_just",
    "contacted_lately",
    "interested_just",
    "interested_lately",
    "declined_lately",
)
SUBJECTS = Subjects("customer_key", "customers", ("region", "employment"), "all customers")


@dataclass(frozen=True)
class Past:
    """Customers in scope of past days with what they took (``taken``), by day and pseudonym."""

    rows: pd.DataFrame
    versions: dict[str, int]
    fingerprint: str


def read_past(run: Run[PropensityParams]) -> Past:
    """Join features and labels of the past days.

    Raises ``DataContractError`` if no snapshot has both.
    """
    snapshots = run.params.origins(run.as_of)
    wanted = pa_dataset.field("as_of").isin(snapshots)
    features, labels = (run.mart(model).table.name for model in (FEATURES, LABELS))
    rows = run.lake.read(features, where=wanted & pa_dataset.field("in_scope"))
    taken = run.lake.read(labels, columns=[*KEY, "taken"], where=wanted)
    joined = rows.join(taken, keys=list(KEY), join_type="inner").sort_by(
        [(name, "ascending") for name in KEY]
    )
    if not joined.num_rows:
        raise DataContractError(
            f"{features} and {labels} must hold the {len(snapshots)} snapshots {snapshots[0]} to {snapshots[-1]}: "
            f"`millrace train {run.usecase}` prepares them; if it did, the raw tables reach back too short"
        )
    versions = {name: run.lake.version(name) for name in (features, labels)}
    return Past(_frame(joined), versions, content_hash(joined, sort_by=KEY))


def read_scope(run: Run[PropensityParams]) -> pd.DataFrame:
    """Customers in scope of the day, by pseudonym.

    Raises ``DataContractError`` if the day was not prepared, or nobody is in scope.
    """
    table = run.mart(FEATURES).table
    rows = run.lake.read(table, where=on_day(run.as_of) & pa_dataset.field("in_scope"))
    if not rows.num_rows:
        raise DataContractError(
            f"{table.name} has no customer in scope on {run.as_of}: run `{run.command('score')}`, which prepares them"
        )
    return _frame(rows.sort_by("customer_key"))


def model_columns(run: Run[PropensityParams]) -> list[str]:
    """Names of the features in the order of the contract."""
    return [feature.name for feature in run.mart(FEATURES).features]


def watched(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """What is watched for drift: the features of few values, which lists are not."""
    return frame[["customer_key", *(name for name in columns if name not in (HELD, *OWN))]]


def _frame(rows: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = rows.to_pandas(split_blocks=True)
    return frame
