"""Repurchase, training: when and with what, learned from past days, judged on later ones, and what the gate says.

The newest snapshots judge. For all that is learned, the world ends at the first of them: orders from then on have not
happened yet, so that customers are censored there. What is judged is what serves: no booster is fitted again. Only the
three numbers that calibrate the lists come from the judged snapshots, and each half of the customers is judged by
those of the other half.
"""

from __future__ import annotations

import logging
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from models.evaluation.verdict import Verdict
from models.repurchase.basket import BasketClassifier
from models.repurchase.gate import Judged, NextOrderThresholds, judge_next_orders
from models.repurchase.judging import Outcome, expected_of
from models.repurchase.judging import judge as judge_models
from models.repurchase.next_order import NextOrderModel, with_expected_date
from models.repurchase.past import Pairs, Waits
from models.repurchase.timing import NextOrderTiming
from pipelines.errors import ConfigError, DataContractError
from pipelines.io.frames import by_candidate, model_columns
from pipelines.io.lake import on_day
from pipelines.io.registry import ModelVersion
from pipelines.measure import Stopwatch
from pipelines.monitoring.reference import Sample
from pipelines.reporting.card import model_card
from pipelines.usecase import Run, Trained
from pipelines.usecases.repurchase.dataset import SUBJECTS, Past
from pipelines.usecases.repurchase.params import RepurchaseParams
from pipelines.usecases.repurchase.schemas import BASKET_VALIDATION, CURVES, TIMING_VALIDATION

log = logging.getLogger(__name__)

#: Threads of the boosters; XGBoost's results may depend on them in the last digits.
_THREADS = 2

#: Metrics shown, with their format.
_SHOWN = {
    "mae_days": ".2f", "coverage": ".1%", "window_days": ".1f", "return_bias": "+.1%",
    "f1": ".3f", "precision": ".3f", "recall": ".3f", "named": ".1f", "product_bias": "+.1%",
}  # fmt: skip


def fit(run: Run[RepurchaseParams], past: Past, champion: NextOrderModel | None) -> Trained:
    """Fit both models and judge them beside simple rules and the champion.

    Raises ``ConfigError`` if no snapshot is left to learn from. Raises ``DataContractError`` if nobody came
    back before the judged snapshots.
    """
    params, watch = run.params, Stopwatch()
    waits, pairs = past.waits, past.pairs
    first = _first_judged(sorted(set(waits.keys["as_of"])), params)
    learning, learning_pairs = waits.seen_until(first), pairs.seen_until(first)
    if not len(learning) or learning.censored.all():
        raise DataContractError(
            f"some customers must have come back before the first judged snapshot, {first}; got none: the raw "
            "tables reach back too short for snapshots.count and snapshots.spacing_days"
        )
    model = fit_models(learning, learning_pairs, params, watch)
    models = {"challenger": model}
    if champion is not None:
        models["champion"] = champion
        model_columns(champion, waits.X)
        if champion.basket is not None and len(pairs):
            model_columns(champion.basket, with_expected_date(pairs.X.iloc[:0], np.empty(0)))
    with watch.phase("judge"):
        outcome = judge_models(
            models,
            waits.take(np.flatnonzero(waits.keys["as_of"] >= first)),
            pairs.take(np.flatnonzero(pairs.keys["as_of"] >= first)) if len(pairs) else pairs,
            horizon_days=params.horizon_days,
            usual_gap=usual_gap(learning),
        )
        if model.basket is not None and outcome.calibration is not None:
            model.basket.calibrate(outcome.calibration)
    metrics = outcome.metrics()
    return Trained(
        model=model,
        example=learning.X.iloc[:5],
        card=model_card(
            run.usecase,
            as_of=run.as_of,
            params=params,
            first_judged=first,
            waits=learning,
            pairs=learning_pairs,
            outcome=outcome,
            formats={
                name: _SHOWN[name] for name in _SHOWN if any(name in found for found in metrics.values())
            },
            metrics=metrics,
            versions=past.versions,
        ),
        tables={
            TIMING_VALIDATION: _dates(outcome),
            BASKET_VALIDATION: _lists(outcome),
            CURVES: _curves(outcome),
        },
        metrics={
            **{f"{who}.{name}": value for who, found in metrics.items() for name, value in found.items()},
            **{f"seconds.{name}": value for name, value in watch.seconds.items()},
        },
        record={
            "waits_trained": len(learning),
            "censored_trained": int(learning.censored.sum()),
            "pairs_trained": len(learning_pairs),
            "customers_judged": len(outcome.waits),
            "returns_judged": int(outcome.back.sum()),
            "lists_judged": len(outcome.orders),
            **{name: round(v, 4) for name, v in metrics["challenger"].items() if np.isfinite(v)},
            "rules": {
                name: round(found.get("f1", found.get("mae_days", float("nan"))), 4)
                for name, found in metrics.items()
                if name != "challenger"
            },
            "seconds": {name: round(seconds, 1) for name, seconds in watch.seconds.items()},
        },
        predict="predict",
        sample=Sample(
            outcome.waits.X.assign(customer_key=outcome.waits.keys["customer_key"].to_numpy()), SUBJECTS
        ),
    )


def judge(run: Run[RepurchaseParams], version: ModelVersion) -> Verdict:
    """Hold the stored judgement of a training day against the thresholds of the gate."""
    lake, params, day = run.lake, run.params, on_day(run.as_of)
    dates, lists, curves = (
        lake.read(table, where=day) for table in (TIMING_VALIDATION, BASKET_VALIDATION, CURVES)
    )
    challenger = by_candidate(dates)["challenger"]
    returned = pc.is_valid(challenger["days_to_next"]).to_numpy()
    order, gate = ("snapshot", "customer_key"), params.gate
    back = by_candidate(dates.filter(pc.is_valid(dates["days_to_next"])), order)
    listed = by_candidate(lists, order)
    own = back.get("challenger", challenger.slice(0, 0))
    days = own["days_to_next"].to_numpy()
    inside = (own["low_days"].to_numpy() <= days) & (days <= own["high_days"].to_numpy())
    errors = {
        name: np.abs(part["expected_days"].to_numpy() - part["days_to_next"].to_numpy())
        for name, part in sorted(back.items())
    }
    f1 = {name: part["f1"].to_numpy() for name, part in sorted(listed.items())}
    return judge_next_orders(
        Judged(own["customer_key"].to_numpy(), errors),
        Judged(listed["challenger"]["customer_key"].to_numpy(), f1) if f1 else None,
        coverage=float(inside.mean()) if len(inside) else float("nan"),
        return_bias=float(challenger["return_probability"].to_numpy().mean() - returned.mean()),
        product_bias=_product_bias(curves),
        thresholds=NextOrderThresholds(
            min_returns=gate.min_returns,
            min_lists=gate.min_lists,
            coverage=(gate.min_coverage, gate.max_coverage),
            max_return_bias=gate.max_return_bias,
            max_product_bias=gate.max_product_bias,
            level=gate.confidence,
        ),
        n_replicates=gate.bootstrap_replicates,
        seed=params.seed,
    )


def _product_bias(curves: pa.Table) -> float:
    """Mean probability of the products before calibration less the share bought, as a share of it."""
    chosen = pc.and_(
        pc.equal(curves["kind"], "product_out_of_time"), pc.equal(curves["candidate"], "challenger")
    )
    own = curves.filter(chosen)
    rows, predicted, observed = (own[name].to_numpy() for name in ("rows", "predicted", "observed"))
    bought = float(rows @ observed) if len(rows) else 0.0
    return float(rows @ predicted) / bought - 1 if bought else 0.0


def fit_models(waits: Waits, pairs: Pairs, params: RepurchaseParams, watch: Stopwatch) -> NextOrderModel:
    """Fit both models, the lists uncalibrated; they learn from dates predicted without knowing their customer."""
    with watch.phase("timing"):
        sample = _sample(waits, params.training.max_waits)
        own = waits.take(sample) if len(sample) < len(waits) else waits
        timing = NextOrderTiming(
            horizon_days=params.horizon_days,
            window=params.training.window,
            random_state=params.seed,
            n_jobs=_THREADS,
            **params.timing.model_dump(),
        )
        timing.fit(own.X, own.lasted, censored=own.censored, customers=own.keys["customer_key"])
        expected = np.full(len(waits), np.nan)
        expected[sample] = timing.wait_of(timing.out_of_fold_).expected
    if len(pairs) == 0 or not 0 < pairs.bought.sum() < len(pairs):
        log.warning("no candidates with a known next order: only dates will be predicted")
        return NextOrderModel(timing, None)
    with watch.phase("basket"):
        then = expected_of(pairs.keys, waits.keys, expected)
        basket = BasketClassifier(random_state=params.seed, n_jobs=_THREADS, **params.basket.model_dump())
        basket.fit(with_expected_date(pairs.X, then), pairs.bought)
    return NextOrderModel(timing, basket)


def usual_gap(waits: Waits) -> float:
    """Median of the customers' median gaps: what a customer with one order is taken to have."""
    gaps = waits.X["gap_median_days"].to_numpy(dtype=np.float64)
    return float(np.nanmedian(gaps)) if np.isfinite(gaps).any() else 0.0


def _first_judged(snapshots: list[date], params: RepurchaseParams) -> date:
    if len(snapshots) <= params.training.judged_snapshots:
        raise ConfigError(
            f"training.judged_snapshots must leave snapshots to learn from, got "
            f"{params.training.judged_snapshots} of {len(snapshots)}"
        )
    return snapshots[-params.training.judged_snapshots]


def _sample(waits: Waits, most: int) -> np.ndarray[Any, np.dtype[np.intp]]:
    """Rows of the first customers by pseudonym, a keyed hash: a random sample, the same in every run."""
    if len(waits) <= most:
        return np.arange(len(waits))
    numbers = pd.Categorical(waits.keys["customer_key"]).codes
    rows_up_to = np.cumsum(np.bincount(numbers))
    return np.flatnonzero(numbers < np.searchsorted(rows_up_to, most, side="right"))


def _dates(outcome: Outcome) -> pd.DataFrame:
    keys = outcome.waits.keys.rename(columns={"as_of": "snapshot"})
    frames = [
        keys.assign(
            candidate=name,
            days_to_next=pd.Series(outcome.waits.days).astype("Int64"),
            judged_days=outcome.judged_days,
            expected_days=wait.expected,
            low_days=wait.low,
            high_days=wait.high,
            return_probability=wait.probability,
        )
        for name, wait in outcome.dates.items()
    ]
    return pd.concat(frames)


def _lists(outcome: Outcome) -> pd.DataFrame:
    keys, f1 = outcome.orders.rename(columns={"as_of": "snapshot"}), outcome.list_f1()
    frames = [
        keys.assign(
            candidate=name,
            named=found.named,
            hits=found.hits,
            f1=f1[name],
            expected_f1=np.nan if found.expected_f1 is None else np.clip(found.expected_f1, 0, 1),
            nothing_probability=np.nan if found.nothing is None else np.clip(found.nothing, 0, 1),
        )
        for name, found in outcome.lists.items()
    ]
    return pd.concat(frames) if frames else pd.DataFrame(columns=BASKET_VALIDATION.column_names)


def _curves(outcome: Outcome) -> pd.DataFrame:
    frames = [
        pd.DataFrame(found).assign(candidate=name, kind=kind, bin=np.arange(1, len(found["rows"]) + 1))
        for (name, kind), found in outcome.curves().items()
    ]
    return pd.concat(frames) if frames else pd.DataFrame(columns=CURVES.column_names)
