"""Repurchase, scoring: date, window and list of products for every customer in scope; and why one is as it is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset
from numpy.typing import NDArray

from features.pseudonyms import pseudonym
from models.repurchase.judging import order_codes
from models.repurchase.next_order import Lists, NextOrderModel, make_lists, with_expected_date
from models.repurchase.timing import Wait
from pipelines.errors import DataContractError
from pipelines.io.frames import model_columns
from pipelines.io.lake import Lake, on_day
from pipelines.io.registry import ModelVersion
from pipelines.io.volume import volume_audit
from pipelines.reporting.words import count, number, percent, short_day
from pipelines.usecase import Output, Record, Run
from pipelines.usecases.repurchase.dataset import (
    CANDIDATES,
    CUSTOMERS,
    product_names,
    read_scope,
    stream_candidates,
)
from pipelines.usecases.repurchase.params import RepurchaseParams
from pipelines.usecases.repurchase.schemas import BASKETS, NEXT_ORDERS

#: Likeliest products named with every customer, listed or not.
TOP = 5

#: Products explained; the list itself may be longer.
SHOWN = 10

_HABITS = ("times_bought", "orders_since_last", "cycle_orders", "in_last_order", "streak")


def predict(run: Run[RepurchaseParams], model: NextOrderModel, version: ModelVersion) -> Iterator[Output]:
    """Predict the next order of every customer in scope.

    The lists are committed before the dates: readers and the publication go by the dates. The columns about a
    customer's list fill while the lists are streamed.
    """
    X, keys = read_scope(run)
    wait = model.fitted_timing.predict_wait(X[model_columns(model, X)])
    parts = _Parts(_customers(run.as_of, X, keys, wait), wait.expected)
    lists = pa.RecordBatchReader.from_batches(BASKETS.arrow_schema, parts.baskets(run, model))
    yield Output(BASKETS, lists, examined=True)
    customers, most = parts.customers, run.params.monitoring.max_volume_change
    volume = volume_audit(
        run.lake, NEXT_ORDERS, run.as_of, share=most, parameter="monitoring.max_volume_change"
    )
    yield Output(
        NEXT_ORDERS,
        customers,
        audits=[volume],
        record={
            "scored": len(customers),
            "candidates": int(customers["candidates"].sum()),
            "listed": int(customers["products"].sum()),
            "nothing": int(((customers["products"] == 0) & (customers["candidates"] > 0)).sum()),
            "expected_returns": round(float(wait.probability.sum()), 1),
            "mean_expected_days": round(float(wait.expected.mean()), 2),
        },
    )


class _Parts:
    """The customers of a day, whose list columns fill while their lists are streamed to the lake."""

    def __init__(self, customers: pd.DataFrame, expected_days: NDArray[np.float64]) -> None:
        self.customers = customers
        self._expected = expected_days

    def baskets(self, run: Run[RepurchaseParams], model: NextOrderModel) -> Iterator[pa.RecordBatch]:
        """Rows of the lists, in the order of the key."""
        if model.basket is None or not run.lake.exists(CANDIDATES):
            return
        known = pd.Index(self.customers["customer_key"])
        for X, keys in stream_candidates(run, known.tolist()):
            place = known.get_indexer(pd.Index(keys["customer_key"].astype(object)))
            then = with_expected_date(X, self._expected[place])
            probability = model.basket.predict_proba(then[model_columns(model.basket, then)])[:, 1]
            lists = make_lists(probability, order_codes(keys), model.basket.calibration.order_size)
            self._fill(place[lists.position[lists.starts]], lists, keys)
            yield _rows(run.as_of, lists, keys)

    def _fill(self, place: NDArray[np.intp], lists: Lists, keys: pd.DataFrame) -> None:
        customers = self.customers
        customers.loc[place, "candidates"] = lists.sizes
        customers.loc[place, "products"] = lists.choice.size
        customers.loc[place, "expected_f1"] = np.clip(lists.choice.expected_f1, 0, 1)
        customers.loc[place, "nothing_probability"] = np.clip(lists.choice.nothing, 0, 1)
        customers.loc[place, "top_products"] = _top(lists, keys)


def _customers(as_of: date, X: pd.DataFrame, keys: pd.DataFrame, wait: Wait) -> pd.DataFrame:
    """Rows of the customers, still without their lists."""
    day = np.datetime64(as_of, "D")

    def on(days: NDArray[np.float64]) -> NDArray[np.object_]:
        return (day + days.astype(np.int64)).astype(object)

    return pd.DataFrame(
        {
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


def explain(run: Run[RepurchaseParams], keys: Sequence[str]) -> Record:
    """Explain the predicted order of a customer, named by natural id or pseudonym.

    Returns chance, date and window with the customer's own rhythm; the likeliest products with how often and
    when they were bought. Where features of the day are no longer kept, only what was predicted. Raises
    ``DataContractError`` if the customer was not predicted on that day, or nobody was.
    """
    [customer], lake, as_of = keys, run.lake, run.as_of
    key = pseudonym(customer, key=run.settings.load_pseudonym_key())
    found = _find(lake, NEXT_ORDERS.name, as_of, key) or _find(lake, NEXT_ORDERS.name, as_of, customer)
    if not found:
        raise DataContractError(
            f"no prediction of {customer!r} on {as_of}: check the id, or run `{run.command('score')}`; a "
            f"customer whose last order is too long ago is out of scope ({CUSTOMERS})"
        )
    predicted = found[0]
    return {
        **{name: predicted[name] for name in ("as_of", "customer_key", "return_probability", "expected_on")},
        **{name: predicted[name] for name in ("window_from", "window_to", "products", "model_version")},
        "when": _when(lake, as_of, predicted),
        "what": _what(lake, as_of, predicted),
    }


def _find(lake: Lake, table: str, as_of: date, key: str) -> list[dict[str, Any]]:
    if not lake.exists(table):
        return []
    where = on_day(as_of) & (pa_dataset.field("customer_key") == key)
    rows: list[dict[str, Any]] = lake.read(table, where=where).to_pylist()
    return rows


def _when(lake: Lake, as_of: date, predicted: dict[str, Any]) -> list[str]:
    """Sentences about the date."""
    said = [
        f"{percent(predicted['return_probability'])} chance of an order within the horizon; if so, around "
        f"{short_day(predicted['expected_on'])}, and with 80 % between {short_day(predicted['window_from'])} and "
        f"{short_day(predicted['window_to'])}.",
        f"{count(predicted['orders'], 'order')} so far, the last {count(predicted['days_since_last'], 'day')} ago.",
    ]
    for row in _find(lake, CUSTOMERS, as_of, predicted["customer_key"]):
        if row["gap_median_days"] is not None:
            said.append(
                f"Usually {number(row['gap_median_days'], 1)} days between orders; the last gap had "
                f"{number(row['gap_last_days'])}, the last three {number(row['gap_mean_3_days'], 1)} on average."
            )
    return said


def _what(lake: Lake, as_of: date, predicted: dict[str, Any]) -> list[str]:
    """A sentence for each of the likeliest listed products."""
    listed = sorted(_find(lake, BASKETS.name, as_of, predicted["customer_key"]), key=lambda row: row["rank"])
    if not listed:
        chance = percent(predicted["nothing_probability"])
        return [
            f"Nothing again is the best guess: the next order repeats no product with a probability of {chance}."
        ]
    names, habits = product_names(lake, as_of), _habits(lake, as_of, predicted["customer_key"])
    return [
        f"{names.get(row['product_id'], row['product_id'])}: {percent(row['probability'])}"
        + _habit(habits.get(row["product_id"]))
        for row in listed[:SHOWN]
    ]


def _habits(lake: Lake, as_of: date, key: str) -> dict[str, dict[str, Any]]:
    if not lake.exists(CANDIDATES):
        return {}
    where = on_day(as_of) & pc.equal(pa_dataset.field("customer_key"), key)
    rows = lake.read(CANDIDATES, columns=["product_id", *_HABITS], where=where).to_pylist()
    return {row["product_id"]: row for row in rows}


def _habit(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    last = (
        "in the last order"
        if row["in_last_order"]
        else f"last {count(row['orders_since_last'], 'order')} ago"
    )
    said = f"; bought {count(row['times_bought'], 'time')}, {last}"
    if row["cycle_orders"] is not None:
        said += f", usually every {number(row['cycle_orders'], 1)} orders"
    if row["streak"] > 1:
        said += f", {number(row['streak'])} times running"
    return said


def explanation(record: Record) -> str:
    """Word an explanation for the person who asks."""
    what = [f"  - {line}" for line in record["what"]]
    lines = [f"Customer {record['customer_key']} on {record['as_of']}:", *record["when"], "With:", *what]
    return "\n".join([*lines, f"Model {record['model_version']}."])
