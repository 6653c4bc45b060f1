"""Training: an imputer fitted on past parts, judged on newer ones that it never saw, and asked what it rests on."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.imputation.dispersion import Dispersion, disperse
from models.imputation.fraction import needed_table
from models.imputation.imputer import BootstrapEMImputer
from models.imputation.limits import drawn_within, limit_priors
from models.imputation.overimpute import with_errors
from models.imputation.panel import Panel
from models.imputation.pooling import difference, means, pool_over
from models.imputation.sensitivity import Sensitivity, delta_sensitivity, most_different
from models.imputation.served import ServedImputer
from models.imputation.transforms import Transform
from pipelines.errors import DataContractError
from pipelines.io.frames import fullest_rows
from pipelines.monitoring.reference import Sample
from pipelines.reporting.card import model_card
from pipelines.usecase import Run, Trained
from pipelines.usecases.imputation.dataset import SUBJECTS, TIME, UNIT, Wide, complete, usable_frame
from pipelines.usecases.imputation.judging import hide_and_impute, root_mean_square
from pipelines.usecases.imputation.params import ImputationParams, ModelParams, SensitivityParams
from pipelines.usecases.imputation.schemas import CHAINS, COLUMNS, DISPERSION, SENSITIVITY, VALIDATION

log = logging.getLogger(__name__)

#: Fewest parts on either side of the split, and of a comparison of lines.
_FEWEST_PARTS = 20
#: Most parts that the diagnostics look at, the newest: what they ask does not get surer with more.
_MOST_PARTS = 20_000
#: Data sets from which fractions of missing information are told; on five they are little more than a guess.
_DATA_SETS = 20
_STARTS = 5
#: Threads of the chains; the result does not depend on them.
_THREADS = 2


@dataclass(frozen=True)
class Diagnostics:
    """What a data scientist asks of a fitted imputer."""

    #: Per sensor: ``fmi`` of its mean, and ``m`` that the fraction calls for.
    information: pd.DataFrame
    #: Ends and paths of EM from dispersed starts.
    dispersion: Dispersion
    #: Sensor, line and what shifts of the line's missing cells do to its difference from the others.
    sensitivities: list[tuple[str, str, Sensitivity]]


def fit(run: Run[ImputationParams], wide: Wide, champion: BootstrapEMImputer | None) -> Trained:
    """Fit an imputer on the past parts, and judge it on the newer ones beside the champion and the means.

    Raises ``DataContractError`` if there are too few parts to learn from or to judge by.
    """
    params = run.params
    past, newer = split(wide, run.as_of, params)
    model = fit_imputer(past, params)
    log.info("fitted in %.1f s: %s", model.report_.seconds, model.report_.reference.words)
    judged = _judge(model, champion, past, newer, params)
    answers = diagnose(model, past, params)
    cells = judged["challenger"]
    facts = {
        "parts_trained": len(past.parts),
        "parts_judged": len(newer.parts),
        "cells_judged": len(cells),
        "coverage_90": float(cells["covered"].mean()),
        "error_sd": root_mean_square(cells["error"]),
        "error_sd_of_means": root_mean_square(judged["mean"]["error"]),
        "chains_converged": sum(chain.converged for chain in model.report_.chains),
        "condition": model.report_.reference.condition,
        "dispersed_starts_agree": answers.dispersion.agree,
        "fit_seconds": model.report_.seconds,
    }
    return Trained(
        model=model,
        example=fullest_rows(usable_frame(model, newer)),
        card=model_card(
            run.usecase, as_of=run.as_of, params=params, report=model.report_, facts=facts, answers=answers
        ),
        tables={
            VALIDATION: _validation(newer, judged),
            CHAINS: model.report_.table(),
            COLUMNS: _columns(model, answers),
            DISPERSION: answers.dispersion.paths,
            SENSITIVITY: _sensitivity(answers),
        },
        metrics=facts,
        record={key: round(value, 4) if isinstance(value, float) else value for key, value in facts.items()},
        predict="predict",
        sample=Sample(newer.values.assign(part_id=newer.parts["part_id"]), SUBJECTS),
    )


def split(wide: Wide, as_of: date, params: ImputationParams) -> tuple[Wide, Wide]:
    """Return the parts to learn from, and those that judge.

    What judges must be like what is completed: on a running line the newest parts, of a closed data set,
    whose gaps are filled once, parts drawn at random. Raises ``DataContractError`` if one side has too few
    parts.
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


def fit_imputer(past: Wide, params: ImputationParams) -> ServedImputer:
    """Fit an imputer on parts, with what is known of their cells beyond a limit and of what sensors can measure."""
    model, sensors, frame = params.model, past.sensors, past.frame
    panel = _panel(model, frame[UNIT].nunique())
    transforms: dict[str | int, Transform] = {
        name: scale if kind == "numeric" else kind
        for name, kind, scale in zip(sensors["sensor_id"], sensors["kind"], sensors["scale"], strict=True)
    }
    imputer = ServedImputer(
        m=model.m,
        ridge=model.ridge,
        transforms=transforms,
        bounds=drawn_within(past.values, sensors) or None,
        panel=panel,
        priors=limit_priors(past.values, sensors, past.limited) or None,
        max_categories=model.max_categories,
        min_observed=model.min_observed,
        max_iter=model.max_iter,
        max_seconds=model.max_seconds,
        n_jobs=_THREADS,
        random_state=params.seed,
    )
    told = [name for name in (panel.unit, panel.time) if name is not None] if panel is not None else []
    imputer.fit(frame[[*past.values.columns, *told]])
    imputer.set_params(priors=None)  # they are of cells of the training parts, which the model does not hold
    return imputer


def _panel(model: ModelParams, units: int) -> Panel | None:
    """What the model knows of units and moments; None if it is to know nothing."""
    intercepts = model.unit_intercepts and 1 < units <= model.max_units
    timed = bool(model.time_degree or model.lags or model.leads)
    if not intercepts and not timed:
        return None
    return Panel(
        time=TIME if timed else None,
        unit=UNIT if intercepts or model.lags or model.leads else None,
        degree=model.time_degree,
        intercepts=intercepts,
        lags=model.lags,
        leads=model.leads,
    )


def _judge(
    model: BootstrapEMImputer,
    champion: BootstrapEMImputer | None,
    past: Wide,
    newer: Wide,
    params: ImputationParams,
) -> dict[str, pd.DataFrame]:
    """Hide cells of the newer parts from the challenger, the means and the champion: the same cells for all."""
    limits = params.overimputation
    ours = hide_and_impute(model, model, newer, limits, seed=params.seed)
    judged = {}
    if champion is not None:
        theirs = hide_and_impute(champion, model, newer, limits, seed=params.seed)
        ours, judged["champion"] = _common(ours, theirs)
    return {"challenger": ours, "mean": _filled_with_means(model, past, ours), **judged}


def _common(first: pd.DataFrame, second: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The cells that two candidates were judged on, in one order."""
    cell = ["row", "column"]
    both = first[cell].merge(second[cell], on=cell)
    return both.merge(first, on=cell), both.merge(second, on=cell)


def _filled_with_means(reference: BootstrapEMImputer, fitted: Wide, cells: pd.DataFrame) -> pd.DataFrame:
    """Fill in the mean of the training parts: the baseline, whose interval is the value alone."""
    predicted = (
        fitted.values[sorted(cells["column"].unique())].mean().loc[cells["column"]].to_numpy(np.float64)
    )
    covered = predicted == cells["observed"]
    return with_errors(
        cells.assign(mean=predicted, low=predicted, high=predicted, covered=covered), reference
    )


# --------------------------------------------------------------------------------------- diagnostics


def diagnose(model: BootstrapEMImputer, fitted: Wide, params: ImputationParams) -> Diagnostics:
    """Ask a model about the parts that it was fitted on."""
    first = max(0, len(fitted.parts) - _MOST_PARTS)
    wide = fitted.take(np.arange(first, len(fitted.parts))) if first else fitted
    tables = [
        table[[name for name in wide.numeric if name in table.columns and table[name].notna().all()]]
        for table in complete(model, wide, _DATA_SETS, seed=params.seed)
    ]
    information = needed_table(pool_over(tables, means))
    return Diagnostics(
        information,
        disperse(model, usable_frame(model, wide), starts=_STARTS, seed=params.seed),
        _sensitivities(wide, tables[: params.model.m], information, params.sensitivity),
    )


def _sensitivities(
    wide: Wide, tables: Sequence[pd.DataFrame], information: pd.DataFrame, params: SensitivityParams
) -> list[tuple[str, str, Sensitivity]]:
    """Of the sensors with the most missing information: the line that differs most from the others."""
    lines = wide.parts["line"].to_numpy()
    found: list[tuple[str, str, Sensitivity]] = []
    numeric = set(wide.sensors.loc[wide.sensors["kind"] == "numeric", "sensor_id"])
    for sensor in information.index:
        if len(found) == params.sensors:
            break
        if sensor not in numeric or sensor not in tables[0]:
            continue
        line = most_different(tables[0][sensor].to_numpy(), lines, fewest=_FEWEST_PARTS)
        if line is None:
            continue
        own = lines == line
        gaps = wide.values[sensor].isna().to_numpy() & own
        if not gaps.any() or not wide.values[sensor].std() > 0:
            continue

        def estimator(
            table: pd.DataFrame, sensor: str = sensor, own: NDArray[np.bool_] = own, line: str | None = line
        ) -> tuple[pd.Series, pd.Series]:
            answer = difference(table[sensor].to_numpy(dtype=np.float64), own)
            mean, variance = (pd.Series([part], [f"the difference of {line}"]) for part in answer)
            return mean, variance

        answer = delta_sensitivity(wide.values, tables, sensor, estimator, deltas=params.deltas, where=own)
        found.append((sensor, line, answer))
    return found


# -------------------------------------------------------------------------------------------- tables


def _validation(newer: Wide, judged: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    station = newer.sensors.set_index("sensor_id")["station"]
    parts = []
    for candidate, cells in judged.items():
        row = cells["row"].to_numpy()
        parts.append(
            cells.assign(
                candidate=candidate,
                part_id=newer.parts["part_id"].to_numpy()[row],
                line=newer.parts["line"].to_numpy()[row],
                station=station.loc[cells["column"]].to_numpy(),
                sensor_id=cells["column"],
                predicted=cells["mean"],
            )
        )
    return pd.concat(parts, ignore_index=True)


def _columns(model: BootstrapEMImputer, answers: Diagnostics) -> pd.DataFrame:
    found = model.report_.preflight.table()
    found = found[~found["column"].isin([UNIT, TIME])]
    information = answers.information.reindex(found["column"])
    return found.assign(
        sensor_id=found["column"].astype(str),
        missing_information=information["fmi"].to_numpy(),
        m_needed=information["m"].to_numpy(),
    )


def _sensitivity(answers: Diagnostics) -> pd.DataFrame:
    parts = [
        found.table.assign(
            sensor_id=sensor,
            line=line,
            tipping_low=np.nan if found.tipping_low is None else found.tipping_low,
            tipping_high=np.nan if found.tipping_high is None else found.tipping_high,
            words=found.words,
        )
        for sensor, line, found in answers.sensitivities
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=SENSITIVITY.column_names)
