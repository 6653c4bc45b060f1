"""Churn, training: a challenger and the baselines, fitted on the past and judged out of time.

What is judged is what serves: the registered model is the one whose out-of-time predictions the gate
sees, not a refit on newer months that nobody measured.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from features.contracts import Contract
from features.spine import monthly_snapshots
from models.classification.baselines import UsageTrendRule, logistic_baseline
from models.classification.boosted import ChurnClassifier
from models.classification.tuning import tune
from models.evaluation.bootstrap import Interval, bootstrap_metrics
from models.evaluation.splits import Holdout, out_of_time
from models.evaluation.subgroups import subgroup_table
from models.explanation.contributions import contributions
from pipelines.io.fingerprint import code_fingerprint
from pipelines.io.lake import Lake
from pipelines.io.registry import CHALLENGER, CHAMPION, ModelVersion, Registry, code_version
from pipelines.monitoring.reference import store_reference
from pipelines.settings import Settings
from pipelines.usecases.churn.contracts import USECASE, features_contract
from pipelines.usecases.churn.dataset import (
    SEGMENTS,
    WATCHED,
    Training,
    model_features,
    model_frame,
    read_training,
)
from pipelines.usecases.churn.model_card import model_card
from pipelines.usecases.churn.params import ChurnParams
from pipelines.usecases.churn.schemas import VALIDATION

log = logging.getLogger(__name__)


#: Candidates whose scores are probabilities, so that Brier score and calibration mean something.
PROBABILISTIC = ("challenger", "champion", "logistic")

#: Accounts that the timing is extrapolated to, as in the gate.
_TIMED_ACCOUNTS = 15_000

#: Threads of the boosters; the result does not depend on them.
_THREADS = 2

#: Folders whose code decides what a model is; part of the fingerprint.
_CODE = ("features", "models", "pipelines/usecases/churn", "dbt_project/models")


@dataclass(frozen=True)
class Judged:
    """Out-of-time rows with every candidate's scores.

    Attributes
    ----------
    churned
        Label, shape (n,).
    keys
        Snapshot, pseudonym and segments of the rows.
    scores
        Shape (n,) by candidate.
    """

    churned: NDArray[np.bool_]
    keys: pd.DataFrame
    scores: dict[str, NDArray[np.float64]]


def run(
    as_of: date, *, settings: Settings | None = None, params: ChurnParams | None = None
) -> dict[str, Any]:
    """Train and register a challenger for ``as_of``.

    A run with the same data, parameters and code as the newest challenger's reuses that version.

    Returns
    -------
    dict
        ``model_version``, whether it was ``reused``, sizes and the challenger's main metrics.
    """
    settings, params = settings or Settings.load(), params or ChurnParams.load_default()
    lake, registry = Lake.of(settings), Registry(settings, USECASE)
    snapshots = monthly_snapshots(
        as_of, months=params.snapshots.months, horizon_days=params.snapshots.horizon_days
    )
    training = read_training(lake, settings, snapshots)
    fingerprint = code_fingerprint(settings.home, _CODE, str(as_of), params.fingerprint, training.fingerprint)
    version = registry.aliased(CHALLENGER)
    if version is not None and version.tags.get("fingerprint") == fingerprint:
        return {"model_version": version.label, "reused": True, "run_id": version.run_id}

    holdout = out_of_time(
        training.keys["as_of"],
        months=params.snapshots.holdout_months,
        horizon_days=params.snapshots.horizon_days,
    )
    tags = {
        "as_of": str(as_of),
        "code_version": code_version(settings.home),
        "data_versions": str(training.versions),
        "data_fingerprint": training.fingerprint,
    }
    with registry.run(f"{USECASE}-{as_of}-{tags['code_version']}", tags) as run_id:
        chosen = _tuned(training, holdout, params)
        fixed = {"n_folds": params.tuning.folds, "random_state": params.seed, "n_jobs": _THREADS}
        model = _fit(ChurnClassifier(**fixed, **chosen), training, holdout)
        judged = _judge(model, training, holdout, registry, features_contract(settings))
        seconds = _seconds_per_15000(model, training.X.iloc[holdout.test])
        metrics = evaluate(judged, params)
        tags["seconds_per_15000"] = f"{seconds:.3f}"
        version = registry.log_model(model, training.X.iloc[holdout.test[:5]], tags=tags)
        _log(registry, version, as_of, params, chosen, training, holdout, judged, metrics, seconds, settings)
    _publish_validation(lake, as_of, judged, version)
    store_reference(
        lake,
        WATCHED,
        version.label,
        training.X.iloc[holdout.test].assign(account_key=judged.keys["account_key"].to_numpy()),
        as_of=as_of,
        scores=judged.keys.assign(score=judged.scores["challenger"]),
    )
    # Last, so that a version whose tables are incomplete after a crash is never reused.
    registry.mark_complete(version, fingerprint)
    return {
        "model_version": version.label,
        "reused": False,
        "run_id": run_id,
        "rows_trained": len(holdout.train),
        "rows_judged": len(holdout.test),
        "churned_judged": int(judged.churned.sum()),
        "seconds_per_15000": round(seconds, 2),
        **{name: round(found.value, 4) for name, found in metrics["challenger"].items()},
    }


def evaluate(judged: Judged, params: ChurnParams) -> dict[str, dict[str, Interval]]:
    """Metrics with bootstrap intervals, by candidate and metric."""
    return {
        name: bootstrap_metrics(
            judged.churned,
            scores,
            judged.keys["account_key"],
            probability=name in PROBABILISTIC,
            n_replicates=params.gate.bootstrap_replicates,
            level=params.gate.confidence,
            seed=params.seed,
        )
        for name, scores in judged.scores.items()
    }


def _tuned(training: Training, holdout: Holdout, params: ChurnParams) -> dict[str, Any]:
    if params.tuning.trials == 0:
        return {"learning_rate": params.tuning.learning_rate}
    rows = holdout.train
    return tune(
        training.X.iloc[rows],
        training.churned[rows],
        training.keys["as_of"].iloc[rows],
        n_trials=params.tuning.trials,
        n_folds=params.tuning.folds,
        max_rows=params.tuning.max_rows,
        learning_rate=params.tuning.learning_rate,
        horizon_days=params.snapshots.horizon_days,
        n_jobs=_THREADS,
        seed=params.tuning.seed,
    )


def _fit(model: Any, training: Training, holdout: Holdout) -> Any:
    rows = holdout.train
    snapshots = training.keys["as_of"].iloc[rows]
    return model.fit(training.X.iloc[rows], training.churned[rows], snapshots)


def _judge(
    model: Any, training: Training, holdout: Holdout, registry: Registry, contract: Contract
) -> Judged:
    """Score the out-of-time rows with the challenger, the baselines and the serving champion."""
    train, test = training.X.iloc[holdout.train], training.X.iloc[holdout.test]
    known = training.churned[holdout.train]
    candidates = {
        "challenger": model,
        "logistic": logistic_baseline().fit(train, known),
        "usage_trend": UsageTrendRule(column="usage_trend_4w_vs_all").fit(train, known),
    }
    scores = {name: candidate.predict_proba(test)[:, 1] for name, candidate in candidates.items()}
    champion = registry.aliased(CHAMPION)
    if champion is not None:
        serving = registry.load(champion)
        rows = training.rows.take(holdout.test)
        own = model_frame(rows, list(model_features(serving, rows, contract)))
        scores["champion"] = serving.predict_proba(own)[:, 1]
    keys = training.keys.iloc[holdout.test].reset_index(drop=True)
    return Judged(training.churned[holdout.test], keys, scores)


def _seconds_per_15000(model: Any, rows: pd.DataFrame) -> float:
    """Time to score and explain, scaled to the size of the gate's budget."""
    sample = rows.iloc[:_TIMED_ACCOUNTS]
    started = time.perf_counter()
    model.predict_proba(sample)
    contributions(model, sample)
    return (time.perf_counter() - started) * _TIMED_ACCOUNTS / len(sample)


def _publish_validation(lake: Lake, as_of: date, judged: Judged, version: ModelVersion) -> None:
    parts = [
        judged.keys.rename(columns={"as_of": "snapshot"}).assign(
            as_of=as_of, candidate=name, churned=judged.churned, score=scores
        )
        for name, scores in judged.scores.items()
    ]
    rows = pa.Table.from_pandas(
        pd.concat(parts)[VALIDATION.column_names], schema=VALIDATION.arrow_schema, preserve_index=False
    )
    lake.replace_partition(VALIDATION, rows, {"as_of": as_of}, metadata={"model_version": version.label})


def _log(
    registry: Registry,
    version: ModelVersion,
    as_of: date,
    params: ChurnParams,
    chosen: Mapping[str, Any],
    training: Training,
    holdout: Holdout,
    judged: Judged,
    metrics: Mapping[str, Mapping[str, Interval]],
    seconds: float,
    settings: Settings,
) -> None:
    """Log parameters, metrics with their bounds, subgroups and the model card to the open run."""
    mlflow.log_params({**params.flat(), **{f"chosen.{name}": value for name, value in chosen.items()}})
    values = {"seconds_per_15000": seconds, "rows_judged": float(len(judged.churned))}
    for candidate, found in metrics.items():
        for name, interval in found.items():
            values[f"{candidate}.{name}"] = interval.value
            if np.isfinite([interval.low, interval.high]).all():
                values[f"{candidate}.{name}.low"] = interval.low
                values[f"{candidate}.{name}.high"] = interval.high
    mlflow.log_metrics({name: value for name, value in values.items() if np.isfinite(value)})
    subgroups = subgroup_table(
        judged.churned,
        judged.scores["challenger"],
        judged.keys["account_key"],
        {name: judged.keys[name] for name in SEGMENTS},
        n_replicates=params.gate.bootstrap_replicates,
        level=params.gate.confidence,
        seed=params.seed,
    )
    card = model_card(
        as_of=as_of,
        params=params,
        chosen=chosen,
        training=training,
        holdout=holdout,
        metrics=metrics,
        subgroups=subgroups,
        themes=features_contract(settings).themes,
    )
    mlflow.log_text(card, "model_card.md")
    registry.client.update_model_version(version.name, version.version, description=card[:5000])
