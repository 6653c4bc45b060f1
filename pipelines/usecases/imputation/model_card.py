"""Model card of an imputation model: what it is for, what it was made from, how it was judged."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from models.imputation.imputer import BootstrapEMImputer
from pipelines.usecases.imputation.diagnostics import Diagnostics
from pipelines.usecases.imputation.params import ImputationParams


def model_card(
    as_of: date,
    params: ImputationParams,
    model: BootstrapEMImputer,
    facts: Mapping[str, Any],
    answers: Diagnostics,
) -> str:
    """Card in Markdown."""
    preflight = model.report_.preflight
    problems = "\n".join(f"- `{one.column}`: {one.words}" for one in preflight.problems) or "- none"
    notes = "\n".join(f"- {note}" for note in preflight.notes)
    sensitive = "\n".join(
        f"- {found.words} ({sensor}, {line})" for sensor, line, found in answers.sensitivities
    )
    window = params.window
    newest = f"those of the last {window.holdout_days} days"
    judges = newest if window.holdout == "newest" else "a random share"
    return f"""# Imputation model of {as_of}

**For**: {params.model.m} completed data sets of each day's parts, of which every observed cell is as it was measured.
**Not for**: a best guess of a single cell, or a decision about a single part; the spread between the data sets is the
answer's uncertainty and must be carried on (`models.imputation.pooling`).

## Method
Bootstrap EM: {params.model.m} resamples of the parts, EM for mean and covariance on each, draws of the missing cells
from their conditional normal distribution. Values are missing at random given the other sensors and the line; what
lies beyond a detection limit is drawn beyond it.

## Data
Parts made in the {window.train_days} days before {as_of}; {judges} judge and were not
learned from. {facts["parts_trained"]:,} parts trained, {facts["parts_judged"]:,} parts judged;
{preflight.parameters:,} parameters for {preflight.rows:,} rows, ridge {model.report_.reference.ridge:.2g}.

## Judgement, out of time
- 90 % intervals held {facts["coverage_90"]:.1%} of {facts["cells_judged"]:,} observed cells that were taken out.
- Error {facts["error_sd"]:.3f} standard deviations; filling in means: {facts["error_sd_of_means"]:.3f}.
- {model.report_.reference.words}; {facts["chains_converged"]} of {params.model.m} resamples converged.
- {answers.dispersion.words}.

## Sensors with a remark
{problems}
{notes}

## If values are missing because of what they are
{sensitive or "- no two lines to compare"}
"""
