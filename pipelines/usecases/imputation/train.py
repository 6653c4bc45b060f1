"""Imputation, training: a challenger fitted on past parts, and judged on newer ones that it never saw.

What is judged is what serves: the registered model is the one whose overimputation the gate sees, not a refit on
the newest parts that nobody measured.
"""

from __future__ import annotations

import logging
from datetime import date, timedelta
from typing import Any

import mlflow
import numpy as np
import pandas as pd

from models.imputation.imputer import BootstrapEMImputer
from pipelines.errors import DataContractError
from pipelines.io.fingerprint import code_fingerprint
from pipelines.io.lake import Lake
from pipelines.io.registry import CHALLENGER, CHAMPION, ModelVersion, Registry, code_version
from pipelines.monitoring.reference import store_reference
from pipelines.settings import Settings
from pipelines.usecases.imputation import records
from pipelines.usecases.imputation.contracts import USECASE
from pipelines.usecases.imputation.dataset import WATCHED, Wide, read_wide
from pipelines.usecases.imputation.diagnostics import diagnose
from pipelines.usecases.imputation.fitting import limit_priors, make_imputer, usable_frame
from pipelines.usecases.imputation.hidden import common, judge, judge_mean
from pipelines.usecases.imputation.model_card import model_card
from pipelines.usecases.imputation.params import ImputationParams

log = logging.getLogger(__name__)

#: Folders whose code decides what a model is; part of the fingerprint.
_CODE = ("models/imputation", "pipelines/usecases/imputation", "dbt_project/models/staging/imputation",
         "dbt_project/models/intermediate/imputation")  # fmt: skip
#: Fewest parts on either side of the split.
_FEWEST_PARTS = 20


def run(
    as_of: date, *, settings: Settings | None = None, params: ImputationParams | None = None
) -> dict[str, Any]:
    """Fit, judge and register a challenger for ``as_of``.

    A run with the same data, parameters and code as the newest challenger's reuses that version.

    Returns
    -------
    dict
        ``model_version``, whether it was ``reused``, sizes, convergence and the challenger's overimputation.

    Raises
    ------
    DataContractError
        The day was not prepared, or there are too few parts to learn from or to judge by.
    """
    settings, params = settings or Settings.load(), params or ImputationParams.load_default()
    lake, registry = Lake.of(settings), Registry(settings, USECASE)
    wide = read_wide(lake, as_of)
    fingerprint = code_fingerprint(settings.home, _CODE, str(as_of), params.fingerprint, wide.fingerprint)
    version = registry.aliased(CHALLENGER)
    if version is not None and version.tags.get("fingerprint") == fingerprint:
        return {"model_version": version.label, "reused": True, "run_id": version.run_id}

    past, newer = split(wide, as_of, params)
    model, columns = make_imputer(past, params)
    model.set_params(priors=limit_priors(past) or None)
    model.fit(past.frame[columns])
    model.set_params(priors=None)  # they are of cells of the training parts, which the model does not hold
    log.info("fitted in %.1f s: %s", model.report_.seconds, model.report_.reference.words)
    judged = _judge(model, registry, past, newer, params)
    answers = diagnose(model, past, params)

    tags = {
        "as_of": str(as_of),
        "code_version": code_version(settings.home),
        "data_versions": str(wide.versions),
        "data_fingerprint": wide.fingerprint,
    }
    name = f"{USECASE}-{as_of}-{tags['code_version'][:7]}"
    cells = judged["challenger"]
    facts = {
        "parts_trained": len(past.parts),
        "parts_judged": len(newer.parts),
        "cells_judged": len(cells),
        "coverage_90": float(cells["covered"].mean()),
        "error_sd": _rms(cells),
        "error_sd_of_means": _rms(judged["mean"]),
        "chains_converged": sum(chain.converged for chain in model.report_.chains),
        "condition": model.report_.reference.condition,
        "dispersed_starts_agree": answers.dispersion.agree,
        "fit_seconds": model.report_.seconds,
    }
    with registry.run(name, tags) as run_id:
        version = registry.log_model(
            model, _example(usable_frame(model, newer)), tags=tags, predict="predict"
        )
        _log(registry, version, params, facts, model_card(as_of, params, model, facts, answers))
    records.store(lake, as_of, version, model, newer, judged, answers)
    store_reference(lake, WATCHED, version.label, newer.watched, as_of=as_of)
    # Last, so that a version whose tables are incomplete after a crash is never reused.
    registry.mark_complete(version, fingerprint)
    shown = {key: round(value, 4) if isinstance(value, float) else value for key, value in facts.items()}
    return {"model_version": version.label, "reused": False, "run_id": run_id, **shown}


def split(wide: Wide, as_of: date, params: ImputationParams) -> tuple[Wide, Wide]:
    """Parts to learn from, and those that judge.

    What judges must be like what is completed: on a running line the newest parts, of a closed data set, whose
    gaps are filled once, parts drawn at random.

    Raises
    ------
    DataContractError
        One side has too few parts.
    """
    window = params.window
    if window.holdout == "random":
        judges = np.random.default_rng(params.seed).random(len(wide.parts)) < window.holdout_share
    else:
        first = pd.Timestamp(as_of - timedelta(days=window.holdout_days))
        judges = wide.parts["produced_at"].to_numpy() >= first.to_datetime64()
    learn, judge_by = int((~judges).sum()), int(judges.sum())
    if min(learn, judge_by) < _FEWEST_PARTS:
        how = f"of the last {window.holdout_days} days" if window.holdout == "newest" else "drawn at random"
        raise DataContractError(
            f"at least {_FEWEST_PARTS} parts must be there to learn from and, {how}, to judge by (window in params.yaml), "
            f"got {learn} and {judge_by} on {as_of}"
        )
    return wide.take(np.flatnonzero(~judges)), wide.take(np.flatnonzero(judges))


def _judge(
    model: BootstrapEMImputer, registry: Registry, past: Wide, newer: Wide, params: ImputationParams
) -> dict[str, pd.DataFrame]:
    """Overimputation of the newer parts by the challenger, by means and by the serving champion, on the same cells."""
    limits = params.overimputation
    ours = judge(model, model, newer, limits, seed=params.seed)
    champion = registry.aliased(CHAMPION)
    judged = {}
    if champion is not None:
        theirs = judge(registry.load(champion), model, newer, limits, seed=params.seed)
        ours, judged["champion"] = common(ours, theirs)
    return {"challenger": ours, "mean": judge_mean(model, past, ours), **judged}


def _rms(cells: pd.DataFrame) -> float:
    return float(np.sqrt(np.square(cells["error"]).mean()))


def _example(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows with the fewest gaps: of a column without any value no type can be told."""
    fewest = frame.isna().sum(axis=1).sort_values(kind="stable").index[:5]
    return frame.loc[fewest].reset_index(drop=True)


def _log(
    registry: Registry, version: ModelVersion, params: ImputationParams, facts: dict[str, Any], card: str
) -> None:
    mlflow.log_params(params.flat())
    mlflow.log_metrics({key: float(value) for key, value in facts.items() if np.isfinite(float(value))})
    mlflow.log_text(card, "model_card.md")
    registry.client.update_model_version(version.name, version.version, description=card[:5000])
