"""A bounded search for the size of the trees, on folds that go forward in time."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
from optuna.samplers import TPESampler

from models.classification.boosted import ChurnClassifier, boost_folds, dataset
from models.classification.frames import FrameEncoder
from models.classification.targets import two_classes
from models.evaluation.splits import as_days, forward_folds

#: What a trial may choose. Depth is bounded because the cost of explanations grows with its square.
#: The learning rate is not among it: with early stopping, a slower one takes more rounds to the same end.
_TUNED = (
    "max_depth",
    "num_leaves",
    "min_child_samples",
    "subsample",
    "colsample",
    "reg_lambda",
)


def tune(
    X: Any,
    y: Any,
    snapshots: Any,
    *,
    n_trials: int = 12,
    n_folds: int = 3,
    max_rows: int = 60_000,
    learning_rate: float = 0.1,
    horizon_days: int = 30,
    seed: int = 0,
    n_jobs: int = 1,
) -> dict[str, Any]:
    """Find parameters of :class:`ChurnClassifier` by log loss on purged forward folds.

    The classifier's defaults (at this learning rate) are the first trial, so that the result is never worse than they are on
    these folds. The log loss is judged, not a ranking metric: it is far less noisy on few events, and it
    is what the boosters minimise. The search is bounded by trials, not by time, and so repeats exactly.

    Parameters
    ----------
    X : DataFrame or array of shape (n, n_features)
    y : array-like of shape (n,)
        Two classes; the one that sorts last is the event.
    snapshots : array-like of shape (n,)
        Day each row would have been scored.
    n_trials : int
        Trials including the defaults.
    n_folds : int
        Forward folds; see :func:`~models.evaluation.splits.forward_folds`.
    max_rows : int
        Rows used; of more, a random sample drawn with ``seed``.
    learning_rate : float
        Shrinkage of each round, the same in all trials.
    horizon_days : int
        Days after a snapshot within which its label happens.
    seed, n_jobs : int
        Seed of the sample, the search and the boosters; threads (the result does not depend on them).

    Returns
    -------
    dict
        Parameters to construct a :class:`ChurnClassifier` with; empty if there are too few snapshots or
        events for folds.
    """
    if n_trials < 1:
        raise ValueError(f"n_trials must be at least 1, got {n_trials}")
    encoder = FrameEncoder().fit(X)
    matrix = encoder.transform(X)
    _, target = two_classes(y, matrix)
    days = as_days(snapshots)
    if len(matrix) > max_rows:
        rows = np.sort(np.random.default_rng(seed).choice(len(matrix), max_rows, replace=False))
        matrix, target, days = matrix[rows], target[rows], days[rows]
    folds = [
        fold
        for fold in forward_folds(days, n_folds=n_folds, horizon_days=horizon_days)
        if all(0 < target[part].sum() < len(part) for part in fold)
    ]
    if not folds:
        return {}
    data = dataset(matrix, target, encoder)

    def loss(trial: optuna.Trial) -> float:
        model = ChurnClassifier(
            **_suggest(trial), learning_rate=learning_rate, random_state=seed, n_jobs=n_jobs
        )
        return boost_folds(
            data,
            matrix,
            folds,
            model.booster_params(len(matrix)),
            rounds=model.n_estimators,
            patience=model.patience,
        )[1]

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(sampler=TPESampler(seed=seed, n_startup_trials=max(4, n_trials // 3)))
        defaults = ChurnClassifier().get_params()
        study.enqueue_trial({name: defaults[name] for name in _TUNED})
        study.optimize(loss, n_trials=n_trials)
    finally:
        optuna.logging.set_verbosity(verbosity)
    return {"learning_rate": learning_rate, **study.best_params}


def _suggest(trial: optuna.Trial) -> dict[str, Any]:
    return {
        "max_depth": trial.suggest_int("max_depth", 2, 5),
        "num_leaves": trial.suggest_int("num_leaves", 4, 24, log=True),
        "min_child_samples": trial.suggest_int("min_child_samples", 20, 300, log=True),
        "subsample": trial.suggest_float("subsample", 0.5, 1.0),
        "colsample": trial.suggest_float("colsample", 0.2, 1.0),
        "reg_lambda": trial.suggest_float("reg_lambda", 0.5, 50.0, log=True),
    }
