"""Repurchase, explanation of one prediction: the dates and lists in words, with what they rest on."""

from __future__ import annotations

from datetime import date
from typing import Any

import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset

from features.pseudonyms import pseudonym
from pipelines.errors import DataContractError
from pipelines.io.lake import Lake
from pipelines.reporting.words import count, number, percent, short_day
from pipelines.settings import Settings
from pipelines.usecases.repurchase.contracts import USECASE
from pipelines.usecases.repurchase.report_list import product_names
from pipelines.usecases.repurchase.schemas import BASKETS, NEXT_ORDERS

CUSTOMERS = "features/repurchase_customers"
CANDIDATES = "features/repurchase_candidates"

#: Products explained; the list itself may be longer.
SHOWN = 10

_HABITS = ("times_bought", "orders_since_last", "cycle_orders", "in_last_order", "streak")


def run(as_of: date, customer: str, *, settings: Settings | None = None) -> dict[str, Any]:
    """Explain the predicted order of a customer.

    Parameters
    ----------
    customer
        Natural id or pseudonym.

    Returns
    -------
    dict
        Chance, date and window with the customer's own rhythm; the likeliest products with how often and when they
        were bought. Where features of the day are no longer kept, only what was predicted.

    Raises
    ------
    DataContractError
        The customer was not predicted on that day, or nobody was.
    """
    settings = settings or Settings.load()
    lake = Lake.of(settings)
    key = pseudonym(customer, key=settings.load_pseudonym_key())
    found = _rows(lake, NEXT_ORDERS.name, as_of, key) or _rows(lake, NEXT_ORDERS.name, as_of, customer)
    if not found:
        raise DataContractError(
            f"no prediction of {customer!r} on {as_of}: check the id, or run `millrace score {USECASE} --as-of {as_of}`; a "
            f"customer whose last order is too long ago is out of scope ({CUSTOMERS})"
        )
    predicted = found[0]
    return {
        **{name: predicted[name] for name in ("as_of", "customer_key", "return_probability", "expected_on")},
        **{name: predicted[name] for name in ("window_from", "window_to", "products", "model_version")},
        "when": _when(lake, as_of, predicted),
        "what": _what(lake, as_of, predicted),
    }


def _rows(lake: Lake, table: str, as_of: date, key: str) -> list[dict[str, Any]]:
    if not lake.exists(table):
        return []
    where = (pa_dataset.field("as_of") == as_of) & (pa_dataset.field("customer_key") == key)
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
    for row in _rows(lake, CUSTOMERS, as_of, predicted["customer_key"]):
        if row["gap_median_days"] is not None:
            said.append(
                f"Usually {number(row['gap_median_days'], 1)} days between orders; the last gap had "
                f"{number(row['gap_last_days'])}, the last three {number(row['gap_mean_3_days'], 1)} on average."
            )
    return said


def _what(lake: Lake, as_of: date, predicted: dict[str, Any]) -> list[str]:
    """A sentence for each of the likeliest listed products."""
    listed = sorted(_rows(lake, BASKETS.name, as_of, predicted["customer_key"]), key=lambda row: row["rank"])
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
    where = (pa_dataset.field("as_of") == as_of) & pc.equal(pa_dataset.field("customer_key"), key)
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
