"""Imputation: what a factory's missing measurements plausibly were, and how far to trust that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipelines.errors import DataContractError
from pipelines.monitoring.alarms import Sentence
from pipelines.reporting.page import CheckStyle, FindingStyle, PageSpec, Watched
from pipelines.usecase import Deferred, Explain, Mart, Plan, Record, Run, UseCase
from pipelines.usecases.imputation.layouts import LAYOUTS
from pipelines.usecases.imputation.params import ImputationParams
from pipelines.usecases.imputation.schemas import COMPLETED, TABLES

if TYPE_CHECKING:
    from pipelines.io.dbt import DbtRun
    from pipelines.monitoring.findings import Finding
    from pipelines.usecases.imputation import judging as _judging
    from pipelines.usecases.imputation import measured as _measured
    from pipelines.usecases.imputation import page as _page
    from pipelines.usecases.imputation import scoring as _scoring
    from pipelines.usecases.imputation import training as _training
    from pipelines.usecases.imputation.dataset import Wide
else:
    _judging = Deferred("pipelines.usecases.imputation.judging")
    _measured = Deferred("pipelines.usecases.imputation.measured")
    _page = Deferred("pipelines.usecases.imputation.page")
    _scoring = Deferred("pipelines.usecases.imputation.scoring")
    _training = Deferred("pipelines.usecases.imputation.training")


def plan(run: Run[ImputationParams], training: bool) -> Plan:
    """Training takes the whole window that a model is fitted on, scoring the parts that are completed."""
    window = run.params.window
    days = max(window.train_days, window.batch_days) if training else window.batch_days
    return Plan(parameters={"window_days": float(days), "batch_days": float(window.batch_days)})


def summarise(run: Run[ImputationParams], built: DbtRun) -> Record:
    """Count what was built; refuses a day without any part."""
    (counts,) = built.read(
        f"""
        select
            count(*) as parts,
            count(*) filter (where in_batch) as in_batch,
            (select count(*) from ml.ml_imputation_sensors where as_of = date '{run.as_of}') as sensors,
            (select count(*) from ml.ml_imputation_cells where as_of = date '{run.as_of}') as cells,
            (select value::int from run.parameters where name = 'window_days') as days
        from ml.ml_imputation_parts
        where as_of = date '{run.as_of}'
        """
    ).to_pylist()
    days = counts.pop("days")
    if not counts["parts"]:
        raise DataContractError(
            f"no part was made in the {days} days before {run.as_of} (window in params.yaml): nothing was published. "
            "Look at the newest produced_at of raw/imputation_parts"
        )
    return dict(counts)


def read(run: Run[ImputationParams]) -> Wide:
    """Read the wide table of the window."""
    from pipelines.usecases.imputation import dataset

    return dataset.read_wide(run.lake, run.as_of)


def phrase(speaker: Finding, raised: Sequence[Finding], of_metric: Sequence[Finding]) -> Sentence:
    """The finding that stands out most, and how many more sensors there are."""
    more = f"; and {len(raised) - 1} more sensors" if len(raised) > 1 else ""
    return Sentence(speaker.message + more, speaker.segment_name)


_PAGE = PageSpec(
    checks={
        "cells": CheckStyle("Hidden cells", 0, "\u2265"),
        "converged": CheckStyle("Chains that converged", 0, "="),
        "left_out": CheckStyle("Share of sensors not modelled", 2, "\u2264"),
        "coverage_90": CheckStyle("Coverage of 90 % intervals", 3, "\u2265"),
        "error_against_mean": CheckStyle("Squared error saved against means"),
        "error_against_champion": CheckStyle("Squared error saved against the champion"),
    },
    watched=(
        Watched("raw/imputation_parts", "Parts", "known_at", 7),
        Watched("raw/imputation_measurements", "Measurements", "known_at", 2, each_day=True),
        Watched("features/imputation_cells", "Cells", "as_of", 1),
        Watched("predictions/imputation_validation", "Overimputation", "as_of", 8, verb="train"),
        Watched("predictions/imputation_completed", "Completed data sets", "as_of", 1),
    ),
    train_days=8,
    score_days=1,
    findings=FindingStyle(
        counts=frozenset({"completed", "not_imputed"}),
        shares=frozenset({"coverage_90", "missing_shift", "parts"}),
        named=frozenset({"missing_shift", "feature_shift", "not_imputed"}),
        quiet={"missing_shift": 5, "feature_shift": 5},
        what="The completed data sets",
    ),
)

USECASE = UseCase(
    name="imputation",
    title="Imputation",
    sentence="What a factory's missing measurements plausibly were, and how far to trust that.",
    params=ImputationParams,
    layouts=LAYOUTS,
    adapters={"long": _measured.long, "wide": _measured.wide},
    # Cells last: whoever finds them finds the parts and sensors that they are of.
    marts=(Mart("ml_imputation_parts"), Mart("ml_imputation_sensors"), Mart("ml_imputation_cells")),
    grain="ml_imputation_cells",
    plan=plan,
    summarise=summarise,
    code=(
        "models/imputation",
        "dbt_project/models/staging/imputation",
        "dbt_project/models/intermediate/imputation",
    ),
    read=read,
    fit=_training.fit,
    judge=_judging.judge,
    predict=_scoring.predict,
    tables=TABLES,
    results=COMPLETED,
    check=_judging.check,
    phrase=phrase,
    page=_PAGE,
    sections=_page.sections,
    explain=Explain(keys=("part",), run=_scoring.explain, text=_scoring.explanation),
)
