"""Repurchase, scoring: date, window and list of products for every customer in scope."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pa_dataset
from numpy.typing import NDArray

from models.repurchase.next_order import Lists, NextOrderModel
from models.repurchase.timing import Wait
from pipelines.io.audit import Audit
from pipelines.io.hashing import content_hash
from pipelines.io.lake import Lake
from pipelines.io.quality import quality_audit
from pipelines.io.registry import CHAMPION, Registry
from pipelines.measure import Stopwatch
from pipelines.settings import Settings
from pipelines.usecases.repurchase.contracts import USECASE
from pipelines.usecases.repurchase.dataset import CANDIDATES, read_scope, stream_candidates
from pipelines.usecases.repurchase.judging import columns_of, predict_lists
from pipelines.usecases.repurchase.params import RepurchaseParams
from pipelines.usecases.repurchase.schemas import BASKETS, NEXT_ORDERS

log = logging.getLogger(__name__)

#: Likeliest products named with every customer, listed or not.
TOP = 5


def run(
    as_of: date,
    *,
    settings: Settings | None = None,
    params: RepurchaseParams | None = None,
    alias: str = CHAMPION,
) -> dict[str, Any]:
    """Predict the next order of every customer in scope on ``as_of``, with the models that carry ``alias``.

    The lists are committed before the dates: readers and the publication go by the dates. A failed audit leaves
    the tables as they were.

    Raises
    ------
    ModelGateError
        No version carries the alias, or the model needs columns that are gone.
    DataContractError
        The day has no features, or an audit failed.
    """
    settings, params = settings or Settings.load(), params or RepurchaseParams.load_default()
    lake, registry = Lake.of(settings), Registry(settings, USECASE)
    version = registry.serving(alias)
    model: NextOrderModel = registry.load(version)
    watch = Stopwatch()
    with watch.phase("dates"):
        X, keys = read_scope(lake, settings, as_of)
        wait = model.fitted_timing.predict_wait(columns_of(X, model.feature_names_in_))
    customers = _customers(as_of, X, keys, wait, version.label)
    day, metadata = {"as_of": as_of}, {"model_version": version.label}
    parts = _Parts(customers, wait.expected)
    with watch.phase("lists"):
        rows = pa.RecordBatchReader.from_batches(
            BASKETS.arrow_schema, parts.baskets(lake, settings, as_of, model)
        )
        audits = [quality_audit(BASKETS, settings)]
        listed = lake.replace_partition(BASKETS, rows, day, audits=audits, metadata=metadata)
    with watch.phase("commit"):
        scores = pa.Table.from_pandas(
            parts.customers[NEXT_ORDERS.column_names], schema=NEXT_ORDERS.arrow_schema, preserve_index=False
        )
        audits = [quality_audit(NEXT_ORDERS, settings), _volume_audit(lake, as_of, params)]
        commit = lake.replace_partition(NEXT_ORDERS, scores, day, audits=audits, metadata=metadata)
    return {
        "model_version": version.label,
        "scored": scores.num_rows,
        "candidates": int(parts.customers["candidates"].sum()),
        "listed": listed.rows,
        "nothing": int(((parts.customers["products"] == 0) & (parts.customers["candidates"] > 0)).sum()),
        "expected_returns": round(float(wait.probability.sum()), 1),
        "mean_expected_days": round(float(wait.expected.mean()), 2),
        "lake_version": commit.version,
        "content_hash": content_hash(scores, sort_by=NEXT_ORDERS.key),
        "seconds": {name: round(seconds, 1) for name, seconds in watch.seconds.items()},
    }


class _Parts:
    """The customers of a day, whose list columns fill while their lists are streamed to the lake."""

    def __init__(self, customers: pd.DataFrame, expected_days: NDArray[np.float64]) -> None:
        self.customers = customers
        self._expected = expected_days

    def baskets(
        self, lake: Lake, settings: Settings, as_of: date, model: NextOrderModel
    ) -> Iterator[pa.RecordBatch]:
        """Rows of the lists, in the order of the key."""
        if model.basket is None or not lake.exists(CANDIDATES):
            return
        known = pd.Index(self.customers["customer_key"])
        for X, keys in stream_candidates(lake, settings, as_of, known.tolist()):
            place = known.get_indexer(pd.Index(keys["customer_key"].astype(object)))
            lists, _ = predict_lists(model.basket, X, keys, self._expected[place])
            self._fill(place[lists.position[lists.starts]], lists, keys)
            yield _rows(as_of, lists, keys)

    def _fill(self, place: NDArray[np.intp], lists: Lists, keys: pd.DataFrame) -> None:
        customers = self.customers
        values: dict[str, NDArray[Any]] = {
            "candidates": lists.sizes,
            "products": lists.choice.size,
            "expected_f1": np.clip(lists.choice.expected_f1, 0, 1),
            "nothing_probability": np.clip(lists.choice.nothing, 0, 1),
            "top_products": _top(lists, keys),
        }
        for name, column in values.items():
            customers.loc[place, name] = column


def _customers(as_of: date, X: pd.DataFrame, keys: pd.DataFrame, wait: Wait, version: str) -> pd.DataFrame:
    """Rows of the customers, still without their lists."""
    day = np.datetime64(as_of, "D")

    def on(days: NDArray[np.float64]) -> NDArray[np.object_]:
        return (day + days.astype(np.int64)).astype(object)

    return pd.DataFrame(
        {
            "as_of": as_of,
            "customer_key": keys["customer_key"],
            "return_probability": np.clip(wait.probability, 0, 1),
            "expected_on": on(wait.expected),
            "window_from": on(wait.low),
            "window_to": on(wait.high),
            "expected_days": wait.expected,
            "orders": X["orders"].to_numpy().astype(np.int64),
            "days_since_last": X["days_since_last"].to_numpy().astype(np.int64),
            "gap_median_days": X["gap_median_days"].to_numpy().astype(np.float64),
            "candidates": 0,
            "products": 0,
            "expected_f1": np.nan,
            "nothing_probability": np.nan,
            "top_products": "[]",
            "model_version": version,
        }
    )


def _top(lists: Lists, keys: pd.DataFrame) -> NDArray[np.object_]:
    """JSON list of the likeliest products of each customer."""
    top = lists.rank <= TOP
    products = keys["product_id"].astype(object).to_numpy()[lists.position[top]]
    ends = np.cumsum(np.minimum(lists.sizes, TOP))
    named = [json.dumps(part.tolist()) for part in np.split(products, ends[:-1])]
    return np.array(named, dtype=object)


def _rows(as_of: date, lists: Lists, keys: pd.DataFrame) -> pa.RecordBatch:
    kept = lists.listed
    rows = keys.iloc[lists.position[kept]]
    frame = pd.DataFrame(
        {
            "as_of": as_of,
            "customer_key": rows["customer_key"].astype(object).to_numpy(),
            "product_id": rows["product_id"].astype(object).to_numpy(),
            "rank": lists.rank[kept],
            "probability": np.clip(lists.probability[kept], 0, 1),
        }
    ).sort_values(["customer_key", "product_id"])
    return pa.RecordBatch.from_pandas(frame, schema=BASKETS.arrow_schema, preserve_index=False)


def _volume_audit(lake: Lake, as_of: date, params: RepurchaseParams) -> Audit:
    """Refuse a day whose number of customers left the last scored day's by too much."""
    earlier = lake.read(
        NEXT_ORDERS, columns=["as_of"], where=pa_dataset.field("as_of") < as_of, missing_ok=True
    )
    last = 0
    if earlier.num_rows:
        counts = earlier.group_by("as_of").aggregate([("as_of", "count")]).sort_by("as_of")
        last = counts["as_of_count"][-1].as_py()
    share = params.monitoring.max_volume_change

    def audit(staged: Any) -> list[str]:
        rows = staged.aggregate("count(*)").fetchall()[0][0]
        if last and abs(rows - last) > share * last:
            return [
                f"{rows} customers differ from the {last} of the last scored day by more than {share:.0%} "
                "(monitoring.max_volume_change in params.yaml)"
            ]
        return []

    return audit
