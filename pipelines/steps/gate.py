"""The gate: whether the challenger of a day may serve, and the record of the decision."""

from __future__ import annotations

from datetime import date

from pipelines.io.gating import decide_on_challenger
from pipelines.settings import Settings
from pipelines.usecase import D, M, P, Record, UseCase


def run(
    usecase: UseCase[P, D, M], as_of: date, *, settings: Settings | None = None, params: P | None = None
) -> Record:
    """Judge the challenger trained for ``as_of``; see :func:`pipelines.io.gating.decide_on_challenger`."""
    here = usecase.run(as_of, settings, params)
    return decide_on_challenger(
        here.settings, usecase.name, as_of, lambda version: usecase.judge(here, version)
    )
