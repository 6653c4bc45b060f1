"""What training and scoring read: customers with the wait that followed, candidates with what was bought."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset
from numpy.typing import NDArray

from features.contracts import Contract
from models.repurchase.past import Pairs, Waits
from pipelines.errors import DataContractError
from pipelines.io.lake import Lake, on_day
from pipelines.io.newest import newest_texts
from pipelines.monitoring.subjects import Subjects
from pipelines.usecase import Run
from pipelines.usecases.repurchase.params import RepurchaseParams

CUSTOMERS = "features/repurchase_customers"
CANDIDATES = "features/repurchase_candidates"
TRAINING = "features/repurchase_training"
LABELS = "features/repurchase_labels"
ORDERS, PRODUCTS = "raw/repurchase_orders", "raw/repurchase_products"
KEY = ("as_of", "customer_key")

#: What is watched for drift.
SUBJECTS = Subjects("customer_key", "customers")

#: Customers whose candidates are held at once when scoring.
CUSTOMERS_AT_ONCE = 10_000


@dataclass(frozen=True)
class Past:
    """What a training learns from and is judged on."""

    waits: Waits
    pairs: Pairs
    #: Lake version of every table that was read, and a hash of everything in ``waits`` and ``pairs``.
    versions: dict[str, int]
    fingerprint: str


def read_past(run: Run[RepurchaseParams]) -> Past:
    """Read customers and candidates of past days."""
    snapshots = run.params.origins(run.as_of)
    versions = {name: run.lake.version(name) for name in (CUSTOMERS, LABELS, TRAINING)}
    waits, pairs = read_waits(run, snapshots), read_pairs(run, snapshots)
    return Past(waits, pairs, versions, data_fingerprint(waits, pairs))


def read_waits(run: Run[RepurchaseParams], snapshots: Sequence[date]) -> Waits:
    """Customers in scope on past days, with the wait that followed.

    Raises ``DataContractError`` if no snapshot has features and labels, or a customer in scope lacks a label.
    """
    lake, contract = run.lake, run.mart("ml_repurchase_customers")
    field = pa_dataset.field
    wanted = field("as_of").isin(list(snapshots))
    names = list(dict.fromkeys([*KEY, *contract.themes]))
    rows = lake.read(contract.table.name, columns=names, where=wanted & field("in_scope"))
    labels = lake.read(LABELS, columns=[*KEY, "days_to_next", "observed_days"], where=wanted)
    joined = rows.join(labels, keys=list(KEY), join_type="inner").sort_by([(k, "ascending") for k in KEY])
    if rows.num_rows == 0 or joined.num_rows != rows.num_rows:
        raise DataContractError(
            f"every customer in scope of {len(snapshots)} snapshots must have a label, got {rows.num_rows} in "
            f"scope and {joined.num_rows} labels: `millrace train repurchase` prepares them; if it did, the raw "
            "tables reach back too short"
        )
    return Waits(
        X=feature_frame(joined, contract),
        keys=joined.select(list(KEY)).to_pandas(date_as_object=True),
        days=_numbers(joined["days_to_next"]),
        observed=joined["observed_days"].to_numpy().astype(np.int64),
    )


def read_pairs(run: Run[RepurchaseParams], snapshots: Sequence[date]) -> Pairs:
    """Candidates of past days whose next order is known; none if the shop delivers no lines."""
    contract = run.mart("ml_repurchase_training")
    keys, labels = [*KEY, "product_id"], ["bought_next", "days_to_next", "next_lines", "next_repeat_lines"]
    rows = run.lake.read(
        contract.table.name,
        columns=list(dict.fromkeys([*keys, *contract.themes, *labels])),
        where=pa_dataset.field("as_of").isin(list(snapshots)),
    ).sort_by([(k, "ascending") for k in keys])
    return Pairs(
        X=feature_frame(rows, contract),
        keys=_key_frame(rows, keys),
        bought=rows["bought_next"].to_numpy().astype(np.bool_),
        days=_numbers(rows["days_to_next"]),
        lines=rows["next_lines"].to_numpy().astype(np.int64),
        repeated=rows["next_repeat_lines"].to_numpy().astype(np.int64),
    )


def read_scope(run: Run[RepurchaseParams]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Features and keys of the customers in scope of a day, ordered by pseudonym.

    Raises ``DataContractError`` if the day was not prepared.
    """
    contract, as_of = run.mart("ml_repurchase_customers"), run.as_of
    rows = run.lake.read(
        contract.table.name,
        columns=list(dict.fromkeys([*KEY, *contract.themes])),
        where=on_day(as_of) & pa_dataset.field("in_scope"),
    ).sort_by([(k, "ascending") for k in KEY])
    if rows.num_rows == 0:
        raise DataContractError(
            f"{CUSTOMERS} has no customer in scope on {as_of}: trigger repurchase_features with as_of={as_of} or "
            f"run `millrace score repurchase --as-of {as_of}`, which prepares them"
        )
    return feature_frame(rows, contract), rows.select(list(KEY)).to_pandas(date_as_object=True)


def stream_candidates(
    run: Run[RepurchaseParams], customers: Sequence[str]
) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Features and keys of the candidates of a day, some thousand customers at a time, in order.

    ``customers`` are sorted pseudonyms; candidates of others are left out.
    """
    contract = run.mart("ml_repurchase_candidates")
    field = pa_dataset.field
    keys = ["customer_key", "product_id"]
    dataset = run.lake.dataset(contract.table.name)
    for start in range(0, len(customers), CUSTOMERS_AT_ONCE):
        part = customers[start : start + CUSTOMERS_AT_ONCE]
        # The table is stored in the order of its key: a range reads a few row groups.
        inside = (field("customer_key") >= part[0]) & (field("customer_key") <= part[-1])
        rows = dataset.to_table(
            columns=list(dict.fromkeys([*keys, *contract.themes])), filter=on_day(run.as_of) & inside
        )
        rows = rows.filter(pc.is_in(rows["customer_key"], pa.array(part)))
        if rows.num_rows:
            rows = rows.sort_by([(key, "ascending") for key in keys])
            yield feature_frame(rows, contract), _key_frame(rows, keys)


def data_fingerprint(waits: Waits, pairs: Pairs) -> str:
    """Hash of everything that training reads; later days in the same tables do not change it."""
    digest = hashlib.sha256()
    for rows in (waits, pairs):
        for frame in (rows.keys, rows.X):
            for name in frame.columns:
                digest.update(pd.util.hash_pandas_object(frame[name], index=False).to_numpy().tobytes())
    for part in (waits.days, waits.observed, pairs.bought, pairs.days, pairs.lines, pairs.repeated):
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()[:16]


def feature_frame(rows: pa.Table, contract: Contract) -> pd.DataFrame:
    """Features as the models take them: float32 numbers, words as categories, null as missing."""
    columns: dict[str, Any] = {}
    for feature in contract.features:
        column = rows.column(feature.name)
        if feature.categorical:
            columns[feature.name] = column.dictionary_encode().to_pandas()
        else:
            columns[feature.name] = _numbers(column, pa.float32())
    return pd.DataFrame(columns, copy=False)


def _key_frame(rows: pa.Table, keys: Sequence[str]) -> pd.DataFrame:
    """Keys as categories: millions of rows repeat few words."""
    columns = {key: rows[key].dictionary_encode() if key != "as_of" else rows[key] for key in keys}
    frame: pd.DataFrame = pa.table(columns).to_pandas(date_as_object=True)
    return frame


def _numbers(column: pa.ChunkedArray, kind: pa.DataType | None = None) -> NDArray[Any]:
    kind = kind or pa.float64()
    # Unsafe: 32 bits hold counts beyond 16 million only roughly, which trees do not mind.
    filled = pc.fill_null(column.cast(kind, safe=False), pa.scalar(float("nan"), kind))
    return np.asarray(filled.to_numpy())


def product_names(lake: Lake, as_of: date) -> dict[str, str]:
    """Newest names of the products known before ``as_of``."""
    return newest_texts(lake, PRODUCTS, "product_id", "product_name", as_of)
