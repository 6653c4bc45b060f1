"""Churn, training: a challenger and the baselines, fitted on the past, judged out of time, and what the gate says."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.contracts import Contract
from models.classification.baselines import UsageTrendRule, logistic_baseline
from models.classification.boosted import ChurnClassifier
from models.classification.tuning import tune
from models.evaluation.bootstrap import Interval, bootstrap_metrics
from models.evaluation.gate import Thresholds
from models.evaluation.gate import judge as judge_classifier
from models.evaluation.splits import Holdout, out_of_time
from models.evaluation.subgroups import subgroup_table
from models.evaluation.verdict import Verdict
from models.explanation.contributions import contributions
from pipelines.io.frames import by_candidate, model_features, model_frame
from pipelines.io.lake import on_day
from pipelines.io.registry import ModelVersion
from pipelines.monitoring.reference import Sample
from pipelines.reporting.card import model_card
from pipelines.usecase import Run, Trained
from pipelines.usecases.churn.dataset import FEATURES_MART, SEGMENTS, SUBJECTS, Training
from pipelines.usecases.churn.params import ChurnParams
from pipelines.usecases.churn.schemas import VALIDATION

#: Candidates whose scores are probabilities, so that Brier score and calibration mean something.
PROBABILISTIC = ("challenger", "champion", "logistic")
BASELINES = ("logistic", "usage_trend")

#: Accounts that the timing is extrapolated to, as in the gate.
_TIMED_ACCOUNTS = 15_000

#: Threads of the boosters; the result does not depend on them.
_THREADS = 2


@dataclass(frozen=True)
class Judged:
    """Out-of-time rows with every candidate's scores."""

    #: Label, shape (n,).
    churned: NDArray[np.bool_]
    #: Snapshot, pseudonym and segments of the rows.
    keys: pd.DataFrame
    #: By candidate, shape (n,).
    scores: dict[str, NDArray[np.float64]]


def fit(run: Run[ChurnParams], training: Training, champion: ChurnClassifier | None) -> Trained:
    """Tune and fit the challenger, and judge it beside the baselines and the champion on the newest months."""
    params = run.params
    holdout = out_of_time(
        training.keys["as_of"],
        months=params.snapshots.holdout_months,
        horizon_days=params.snapshots.horizon_days,
    )
    chosen = _tuned(training, holdout, params)
    fixed = {"n_folds": params.tuning.folds, "random_state": params.seed, "n_jobs": _THREADS}
    rows, days = holdout.train, training.keys["as_of"]
    model = ChurnClassifier(**fixed, **chosen)
    model.fit(training.X.iloc[rows], training.churned[rows], days.iloc[rows])
    judged = _candidates(model, training, holdout, champion, run.mart(FEATURES_MART))
    tested = training.X.iloc[holdout.test]
    seconds = _seconds_per_15000(model, tested)
    metrics = _evaluate(judged, params)
    subgroups = subgroup_table(
        judged.churned,
        judged.scores["challenger"],
        judged.keys["account_key"],
        {name: judged.keys[name] for name in SEGMENTS},
        n_replicates=params.gate.bootstrap_replicates,
        level=params.gate.confidence,
        seed=params.seed,
    )
    themes: dict[str, list[str]] = {}
    for feature, theme in model_features(model, training.rows, run.mart(FEATURES_MART)).items():
        themes.setdefault(theme, []).append(feature)
    card = model_card(
        run.usecase,
        as_of=run.as_of,
        params=params,
        chosen=chosen,
        fitted=days.iloc[rows],
        judged=days.iloc[holdout.test],
        purged=holdout.purged,
        rate=training.churned.mean(),
        versions=training.versions,
        metrics=metrics,
        subgroups=subgroups,
        themes=themes,
    )
    return Trained(
        model=model,
        example=training.X.iloc[holdout.test[:5]],
        card=card,
        tables={VALIDATION: _validation(judged)},
        metrics={
            "seconds_per_15000": seconds,
            "rows_judged": float(len(judged.churned)),
            **_with_bounds(metrics),
        },
        record={
            "rows_trained": len(holdout.train),
            "rows_judged": len(holdout.test),
            "churned_judged": int(judged.churned.sum()),
            "seconds_per_15000": round(seconds, 2),
            **{name: round(found.value, 4) for name, found in metrics["challenger"].items()},
        },
        chosen=chosen,
        tags={"seconds_per_15000": f"{seconds:.3f}"},
        sample=Sample(tested, SUBJECTS, scores=judged.keys.assign(score=judged.scores["challenger"])),
    )


def judge(run: Run[ChurnParams], version: ModelVersion) -> Verdict:
    """Hold the stored out-of-time predictions of a training day against the thresholds of the gate."""
    rows = run.lake.read(VALIDATION, where=on_day(run.as_of))
    candidates = by_candidate(rows, ("snapshot", "account_key"))
    scores = {name: part["score"].to_numpy() for name, part in candidates.items()}
    challenger, gate = candidates["challenger"], run.params.gate
    return judge_classifier(
        challenger["churned"].to_numpy(),
        scores["challenger"],
        challenger["account_key"].to_numpy(),
        scoring_seconds=float(version.tags["seconds_per_15000"]),
        scored_accounts=_TIMED_ACCOUNTS,
        baselines={name: scores[name] for name in BASELINES},
        champion=scores.get("champion"),
        thresholds=Thresholds(
            auc_pr=gate.min_auc_pr,
            recall_at_top20=gate.min_recall_at_top20,
            scoring_seconds=gate.max_seconds_per_15000,
            min_positives=gate.min_positives,
            level=gate.confidence,
        ),
        n_replicates=gate.bootstrap_replicates,
        seed=run.params.seed,
    )


def _evaluate(judged: Judged, params: ChurnParams) -> dict[str, dict[str, Interval]]:
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


def _candidates(
    model: ChurnClassifier,
    training: Training,
    holdout: Holdout,
    champion: ChurnClassifier | None,
    contract: Contract,
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
    if champion is not None:
        rows = training.rows.take(holdout.test)
        own = model_frame(rows, list(model_features(champion, rows, contract)))
        scores["champion"] = champion.predict_proba(own)[:, 1]
    keys = training.keys.iloc[holdout.test].reset_index(drop=True)
    return Judged(training.churned[holdout.test], keys, scores)


def _seconds_per_15000(model: Any, rows: pd.DataFrame) -> float:
    """Time to score and explain, scaled to the size of the gate's budget."""
    sample = rows.iloc[:_TIMED_ACCOUNTS]
    started = time.perf_counter()
    model.predict_proba(sample)
    contributions(model, sample)
    return (time.perf_counter() - started) * _TIMED_ACCOUNTS / len(sample)


def _validation(judged: Judged) -> pd.DataFrame:
    keys = judged.keys.rename(columns={"as_of": "snapshot"})
    return pd.concat(
        [keys.assign(candidate=name, churned=judged.churned, score=s) for name, s in judged.scores.items()]
    )


def _with_bounds(metrics: Mapping[str, Mapping[str, Interval]]) -> dict[str, float]:
    """Metrics by candidate with the ends of their intervals."""
    values = {}
    for candidate, found in metrics.items():
        for name, interval in found.items():
            values[f"{candidate}.{name}"] = interval.value
            if np.isfinite([interval.low, interval.high]).all():
                values[f"{candidate}.{name}.low"] = interval.low
                values[f"{candidate}.{name}.high"] = interval.high
    return values
