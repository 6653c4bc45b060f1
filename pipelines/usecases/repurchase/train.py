"""Repurchase, training: when and with what, learned from past days and judged on later ones.

The newest snapshots judge. For all that is learned, the world ends at the first of them: orders from then on have not
happened yet, so that customers are censored there. What is judged is what serves: no booster is fitted again. Only the
three numbers that calibrate the lists come from the judged snapshots, and each half of the customers is judged by
those of the other half.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import date
from typing import Any

import mlflow
import numpy as np
import pandas as pd

from models.repurchase.basket import BasketClassifier
from models.repurchase.next_order import NextOrderModel, with_expected_date
from models.repurchase.timing import NextOrderTiming
from pipelines.errors import ConfigError, DataContractError
from pipelines.io.fingerprint import code_fingerprint
from pipelines.io.lake import Lake
from pipelines.io.registry import CHALLENGER, CHAMPION, Registry, code_version
from pipelines.measure import Stopwatch
from pipelines.monitoring.reference import store_reference
from pipelines.settings import Settings
from pipelines.usecases.repurchase.contracts import USECASE
from pipelines.usecases.repurchase.dataset import (
    CUSTOMERS,
    LABELS,
    TRAINING,
    WATCHED,
    Pairs,
    Waits,
    data_fingerprint,
    read_pairs,
    read_waits,
)
from pipelines.usecases.repurchase.judging import Outcome, expected_of, judge
from pipelines.usecases.repurchase.model_card import model_card
from pipelines.usecases.repurchase.params import RepurchaseParams
from pipelines.usecases.repurchase.prepare import snapshots_of
from pipelines.usecases.repurchase.records import publish_outcome

log = logging.getLogger(__name__)

#: Threads of the boosters; XGBoost's results may depend on them in the last digits.
_THREADS = 2

#: Folders whose code decides what a model is; part of the fingerprint.
_CODE = (
    "features",
    "models/repurchase",
    "models/forecasting/matrix.py",
    "pipelines/usecases/repurchase",
    "dbt_project/models",
)


def run(
    as_of: date, *, settings: Settings | None = None, params: RepurchaseParams | None = None
) -> dict[str, Any]:
    """Train and register a challenger for ``as_of``.

    A run with the same data, parameters and code as the newest challenger's reuses that version.

    Returns
    -------
    dict
        ``model_version``, whether it was ``reused``, sizes, the challenger's and the rules' main metrics and
        the seconds of each part.

    Raises
    ------
    ConfigError
        No snapshot is left to learn from.
    DataContractError
        Nobody came back before the judged snapshots.
    """
    settings, params = settings or Settings.load(), params or RepurchaseParams.load_default()
    lake, registry = Lake.of(settings), Registry(settings, USECASE)
    versions = {name: lake.version(name) for name in (CUSTOMERS, LABELS, TRAINING)}
    watch = Stopwatch()
    snapshots = snapshots_of(as_of, params)
    first = _first_judged(snapshots, params)
    with watch.phase("read"):
        waits, pairs = read_waits(lake, settings, snapshots), read_pairs(lake, settings, snapshots)
        known = data_fingerprint(waits, pairs)
    fingerprint = code_fingerprint(settings.home, _CODE, str(as_of), params.fingerprint, known)
    version = registry.aliased(CHALLENGER)
    if version is not None and version.tags.get("fingerprint") == fingerprint:
        return {"model_version": version.label, "reused": True, "run_id": version.run_id}

    learning, learning_pairs = waits.seen_until(first), pairs.seen_until(first)
    if not len(learning) or learning.censored.all():
        raise DataContractError(
            f"some customers must have come back before the first judged snapshot, {first}; got none: the raw "
            "tables reach back too short for snapshots.count and snapshots.spacing_days"
        )
    tags = {
        "as_of": str(as_of),
        "code_version": code_version(settings.home),
        "data_versions": str(versions),
        "data_fingerprint": known,
    }
    with registry.run(f"{USECASE}-{as_of}-{tags['code_version']}", tags) as run_id:
        model = fit(learning, learning_pairs, params, watch)
        with watch.phase("judge"):
            models = {"challenger": model}
            champion = registry.aliased(CHAMPION)
            if champion is not None:
                models["champion"] = registry.load(champion)
            outcome = judge(
                models,
                waits.take(np.flatnonzero(waits.keys["as_of"] >= first)),
                pairs.take(np.flatnonzero(pairs.keys["as_of"] >= first)) if len(pairs) else pairs,
                horizon_days=params.horizon_days,
                usual_gap=usual_gap(learning),
            )
            if model.basket is not None and outcome.calibration is not None:
                model.basket.calibrate(outcome.calibration)
        metrics = outcome.metrics()
        with watch.phase("register"):
            version = registry.log_model(model, learning.X.iloc[:5], tags=tags, predict="predict")
            publish_outcome(lake, as_of, outcome, version)
            store_reference(lake, WATCHED, version.label, outcome.waits.watched, as_of=as_of)
        _log(
            registry,
            version.version,
            as_of,
            params,
            first,
            learning,
            learning_pairs,
            outcome,
            metrics,
            watch.seconds,
            versions,
        )
    # Last, so that a version whose tables are incomplete after a crash is never reused.
    registry.mark_complete(version, fingerprint)
    challenger = metrics["challenger"]
    return {
        "model_version": version.label,
        "reused": False,
        "run_id": run_id,
        "waits_trained": len(learning),
        "censored_trained": int(learning.censored.sum()),
        "pairs_trained": len(learning_pairs),
        "customers_judged": len(outcome.waits),
        "returns_judged": int(outcome.back.sum()),
        "lists_judged": len(outcome.orders),
        **{name: round(value, 4) for name, value in challenger.items() if np.isfinite(value)},
        "rules": {
            name: round(found.get("f1", found.get("mae_days", float("nan"))), 4)
            for name, found in metrics.items()
            if name != "challenger"
        },
        "seconds": {name: round(seconds, 1) for name, seconds in watch.seconds.items()},
    }


def fit(waits: Waits, pairs: Pairs, params: RepurchaseParams, watch: Stopwatch) -> NextOrderModel:
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


def _log(
    registry: Registry,
    number: str,
    as_of: date,
    params: RepurchaseParams,
    first: date,
    waits: Waits,
    pairs: Pairs,
    outcome: Outcome,
    metrics: Mapping[str, Mapping[str, float]],
    seconds: Mapping[str, float],
    versions: Mapping[str, int],
) -> None:
    """Log parameters, metrics and the model card to the open run."""
    mlflow.log_params(params.flat())
    values = {
        f"{candidate}.{name}": value for candidate, found in metrics.items() for name, value in found.items()
    }
    values |= {f"seconds.{name}": value for name, value in seconds.items()}
    mlflow.log_metrics({name: value for name, value in values.items() if np.isfinite(value)})
    card = model_card(
        as_of=as_of,
        params=params,
        first_judged=first,
        waits=waits,
        pairs=pairs,
        outcome=outcome,
        metrics=metrics,
        versions=versions,
    )
    mlflow.log_text(card, "model_card.md")
    registry.client.update_model_version(USECASE, number, description=card[:5000])
