"""A small factory, landed and taken through every step once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from pipelines.io.lake import Lake
from pipelines.lab.simulation.imputation import generate
from pipelines.settings import Settings
from pipelines.sources.ingest import ingest
from pipelines.steps import gate, monitor, prepare, report, score, train
from pipelines.usecases.imputation import USECASE

#: A week before the data end, so that there is a future that must not be seen.
AS_OF = date(2025, 12, 29)
PARAMS = USECASE.load_params(
    Settings(),
    {
        "window.train_days": 150,
        "window.batch_days": 7,
        "window.holdout_days": 30,
        "overimputation.cells_per_sensor": 80,
    },
)


@dataclass(frozen=True)
class Factory:
    """The landed factory, and what each step said."""

    settings: Settings
    delivery: Path
    records: dict[str, dict[str, Any]]

    @property
    def lake(self) -> Lake:
        """Its lake."""
        return Lake.of(self.settings)


@pytest.fixture(scope="session")
def factory(tmp_path_factory: pytest.TempPathFactory) -> Factory:
    var = tmp_path_factory.mktemp("factory")
    settings = Settings(var=var)
    generate(1_500, 3, 3, 1, var / "delivery", dirty_share=0.0)
    at = datetime(2026, 1, 5)  # noqa: DTZ001
    ingest("imputation", var / "delivery", settings=settings, ingested_at=at, quality_checks=False)
    records = {"prepare": prepare.run(USECASE, AS_OF, settings=settings, params=PARAMS, training=True)}
    for name, step in (
        ("train", train), ("gate", gate), ("score", score), ("monitor", monitor), ("report", report)
    ):  # fmt: skip
        records[name] = step.run(USECASE, AS_OF, settings=settings, params=PARAMS)
    return Factory(settings, var / "delivery", records)
