"""The judged snapshots: what every candidate predicted of them, and what came true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.repurchase import rules
from models.repurchase.basket import BasketCalibration, run_lengths
from models.repurchase.folds import group_folds
from models.repurchase.metrics import curve, f1_of, list_metrics, timing_metrics
from models.repurchase.next_order import NextOrderModel, make_lists, with_expected_date
from models.repurchase.past import Pairs, Waits
from models.repurchase.timing import Wait

Floats = NDArray[np.float64]

#: Names of the simpler rules.
MEDIAN_GAP, BG_NBD, LAST_ORDER, MOST_FREQUENT = "median_gap", "bgnbd", "last_order", "most_frequent"


@dataclass(frozen=True)
class ListOutcome:
    """Lists of one candidate beside the orders that followed, one entry per order.

    Attributes
    ----------
    named, hits
        Products listed, and those of them that were bought.
    expected_f1, nothing
        What the candidate itself expected; None for rules.
    """

    named: NDArray[np.int64]
    hits: NDArray[np.int64]
    expected_f1: Floats | None = None
    nothing: Floats | None = None


@dataclass(frozen=True)
class Outcome:
    """Everything that is known of the judged snapshots.

    Attributes
    ----------
    waits
        Customers, censored at ``judged_days``.
    judged_days
        The horizon, or fewer days if they are not over, per row.
    dates
        Predicted waits by candidate; the windows of rules are NaN.
    orders
        Keys, products and repeated products of the judged orders.
    lists
        By candidate, in the order of ``orders``.
    product
        Probability and truth of every judged candidate, by model.
    out_of_time
        The same probabilities with nothing learned from the judged snapshots: of the challenger, not calibrated.
    calibration
        What the challenger's lists serve with, fitted on all judged candidates; None if there are none.
    """

    waits: Waits
    judged_days: NDArray[np.int64]
    dates: Mapping[str, Wait]
    orders: pd.DataFrame
    lists: Mapping[str, ListOutcome]
    product: Mapping[str, tuple[Floats, NDArray[np.bool_]]]
    out_of_time: Mapping[str, Floats]
    calibration: BasketCalibration | None

    @property
    def back(self) -> NDArray[np.bool_]:
        """Customers who came back within the judged days, shape (n,)."""
        return ~self.waits.censored

    def date_errors(self) -> dict[str, Floats]:
        """Absolute errors in days of the customers who came back, by candidate."""
        days = self.waits.days[self.back]
        return {name: np.abs(wait.expected[self.back] - days) for name, wait in self.dates.items()}

    def list_f1(self) -> dict[str, Floats]:
        """F1 of each judged order, by candidate."""
        repeated = self.orders["repeated"].to_numpy()
        return {name: f1_of(found.named, found.hits, repeated) for name, found in self.lists.items()}

    def metrics(self) -> dict[str, dict[str, float]]:
        """Metrics by candidate."""
        found: dict[str, dict[str, float]] = {}
        days = self.waits.days[self.back]
        for name, wait in self.dates.items():
            low, high = wait.low[self.back], wait.high[self.back]
            ends = {} if np.isnan(low).all() else {"low": low, "high": high}
            found[name] = timing_metrics(days, wait.expected[self.back], **ends)
            if not np.isnan(wait.probability).all():
                found[name]["return_bias"] = float(wait.probability.mean() - self.back.mean())
        for name, lists in self.lists.items():
            found.setdefault(name, {}).update(
                list_metrics(lists.named, lists.hits, self.orders["repeated"].to_numpy())
            )
        for name, (_, bought) in self.product.items():
            share = max(float(bought.mean()), 1e-9)
            found[name]["product_bias"] = float(self.out_of_time[name].mean()) / share - 1
        return found

    def curves(self) -> dict[tuple[str, str], dict[str, NDArray[Any]]]:
        """Reliability and gains by candidate and kind; see :func:`models.repurchase.metrics.curve`."""
        found = {}
        for name, wait in self.dates.items():
            if len(wait.probability) and not np.isnan(wait.probability).any():
                found[name, "return"] = curve(wait.probability, self.back)
        for name, (probability, bought) in self.product.items():
            if len(probability):
                found[name, "product"] = curve(probability, bought)
                found[name, "product_out_of_time"] = curve(self.out_of_time[name], bought)
        return found


def judge(
    models: Mapping[str, NextOrderModel], waits: Waits, pairs: Pairs, *, horizon_days: int, usual_gap: float
) -> Outcome:
    """Let models and rules predict the judged snapshots.

    The lists of the challenger, who comes uncalibrated, are calibrated on the orders that the others of two halves of
    the customers made in the judged snapshots; a champion has its own calibration.

    Parameters
    ----------
    models
        By name, among them ``challenger``.
    waits, pairs
        The judged snapshots, with all that is known of them now.
    usual_gap
        Gap of customers with one order, as it was known before the first judged day.
    """
    judged = np.minimum(waits.observed, horizon_days)
    cut = Waits(waits.X, waits.keys, np.where(waits.days < judged, waits.days, np.nan), judged)
    dates = {name: predict_dates(model, cut) for name, model in models.items()}
    dates |= _date_rules(cut, usual_gap)
    kept = _judged_pairs(pairs, cut)
    lists: dict[str, ListOutcome] = {}
    product: dict[str, tuple[Floats, NDArray[np.bool_]]] = {}
    out_of_time: dict[str, Floats] = {}
    calibration = None
    for name, model in models.items():
        if model.basket is None or len(kept) == 0:
            continue
        full = predict_dates(model, cut, horizon_days=horizon_days)
        then = expected_of(kept.keys, cut.keys, full.expected)
        raw = model.basket.raw_score(with_expected_date(kept.X, then)[model.basket.feature_names_in_])
        own = model.basket.calibration
        out_of_time[name] = own.logit(raw)
        parts = [(np.arange(len(raw)), own)]
        if name == "challenger":
            calibration = BasketCalibration.fit(raw, kept.bought, order_codes(kept.keys))
            parts = _halves(raw, kept) or parts
        lists[name], probability = _in_parts(raw, kept, parts)
        product[name] = (probability, kept.bought)
    if lists:
        lists |= _list_rules(kept)
    return Outcome(cut, judged, dates, _orders(kept), lists, product, out_of_time, calibration)


def _halves(raw: Floats, pairs: Pairs) -> list[tuple[NDArray[np.intp], BasketCalibration]]:
    """Candidates of each half of the customers, with the calibration of the other half; none with one customer."""
    codes = order_codes(pairs.keys)
    return [
        (np.flatnonzero(own), BasketCalibration.fit(raw[~own], pairs.bought[~own], codes[~own]))
        for own in group_folds(pairs.keys["customer_key"], 2)
    ]


def _in_parts(
    raw: Floats, pairs: Pairs, parts: Sequence[tuple[NDArray[np.intp], BasketCalibration]]
) -> tuple[ListOutcome, Floats]:
    """Lists of all orders and probabilities of all candidates, each part of the rows with its own calibration."""
    codes = order_codes(pairs.keys)
    order = np.cumsum(np.diff(codes, prepend=-1) != 0) - 1
    probability, n = np.empty(len(raw)), int(order[-1]) + 1
    named, hits = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    expected, nothing = np.empty(n), np.empty(n)
    for rows, calibration in parts:
        probability[rows] = calibration.logit(raw[rows])
        lists = make_lists(probability[rows], codes[rows], calibration.order_size)
        place = order[rows[lists.position[lists.starts]]]
        hit = (pairs.bought[rows][lists.position] & lists.listed).astype(np.int64)
        named[place], hits[place] = lists.choice.size, np.add.reduceat(hit, lists.starts)
        expected[place], nothing[place] = lists.choice.expected_f1, lists.choice.nothing
    return ListOutcome(named, hits, expected, nothing), probability


def predict_dates(model: NextOrderModel, waits: Waits, *, horizon_days: int | None = None) -> Wait:
    """Waits of customers, for the days that each is judged on, or for one horizon."""
    X = waits.X[model.feature_names_in_]
    if horizon_days is not None:
        return model.fitted_timing.predict_wait(X, horizon_days=horizon_days)
    parts = {name: np.empty(len(waits)) for name in ("probability", "expected", "low", "high")}
    for days in np.unique(waits.observed):
        rows = np.flatnonzero(waits.observed == days)
        wait = model.fitted_timing.predict_wait(X.iloc[rows], horizon_days=int(days))
        for name, part in parts.items():
            part[rows] = getattr(wait, name)
    return Wait(**parts)


def order_codes(keys: pd.DataFrame) -> NDArray[np.int64]:
    """Number of the snapshot and customer of each candidate; equal ones follow each other."""
    customer = pd.factorize(keys["customer_key"])[0].astype(np.int64)
    day = pd.factorize(keys["as_of"])[0] if "as_of" in keys else np.zeros(len(keys), dtype=np.int64)
    codes = day.astype(np.int64) * (customer.max(initial=0) + 1) + customer
    return np.asarray(codes, dtype=np.int64)


def expected_of(keys: pd.DataFrame, of: pd.DataFrame, expected: Floats) -> Floats:
    """Expected days of the customer of each candidate, shape (n,); NaN where there are none."""
    known = pd.Series(expected, index=pd.MultiIndex.from_frame(of[["as_of", "customer_key"]]))
    codes = order_codes(keys)
    _, first, position = np.unique(codes, return_index=True, return_inverse=True)
    wanted = pd.MultiIndex.from_frame(keys.iloc[first][["as_of", "customer_key"]].astype(object))
    found = known.reindex(wanted).to_numpy(dtype=np.float64)[position.reshape(-1)]
    return np.asarray(found, dtype=np.float64)


def _date_rules(waits: Waits, usual_gap: float) -> dict[str, Wait]:
    X, nothing = waits.X, np.full(len(waits), np.nan)
    gap = rules.median_gap(X["gap_median_days"], X["days_since_last"], usual_gap)
    found = {MEDIAN_GAP: Wait(nothing, gap, nothing, nothing)}
    history = rules.purchase_history(X["orders"], X["days_since_last"], X["tenure_days"])
    if (history.repeats > 0).any():
        days = int(np.median(waits.observed))
        expected, probability = rules.bg_nbd(history, days)
        found[BG_NBD] = Wait(probability, expected, nothing, nothing)
    return found


def _judged_pairs(pairs: Pairs, waits: Waits) -> Pairs:
    """Candidates of the orders that came within the judged days."""
    if len(pairs) == 0:
        return pairs
    limit = expected_of(pairs.keys, waits.keys, waits.observed.astype(np.float64))
    return pairs.take(np.flatnonzero(pairs.days < limit))


def _list_rules(pairs: Pairs) -> dict[str, ListOutcome]:
    sizes = run_lengths(order_codes(pairs.keys))
    X = pairs.X
    scored = {
        LAST_ORDER: rules.last_order_again(X["in_last_order"], sizes),
        MOST_FREQUENT: rules.most_frequent(
            X["times_bought"], X["orders_since_last"], X["customer_basket_mean_lines"], sizes
        ),
    }
    found = {}
    for name, (score, named) in scored.items():
        own = np.repeat(np.arange(len(sizes)), sizes)
        order = np.lexsort((-score, own))
        rank = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        hit = pairs.bought[order] & (rank < np.repeat(named, sizes))
        hits = np.add.reduceat(hit.astype(np.int64), np.cumsum(sizes) - sizes)
        found[name] = ListOutcome(named, hits)
    return found


def _orders(pairs: Pairs) -> pd.DataFrame:
    codes = order_codes(pairs.keys)
    first = np.flatnonzero(np.diff(codes, prepend=-1) != 0) if len(codes) else np.empty(0, dtype=np.intp)
    orders = pairs.keys.iloc[first][["as_of", "customer_key"]].astype(object).reset_index(drop=True)
    return orders.assign(bought=pairs.lines[first], repeated=pairs.repeated[first])
