"""A small simulated grocer: trained and scored on a past day, scored and monitored when its horizon is over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.dataset as pa_dataset
import pytest
from pydantic import SecretStr

from features.schemas import Table
from pipelines.io.lake import Lake
from pipelines.lab.simulation.repurchase import generate
from pipelines.settings import Settings
from pipelines.sources.ingest import ingest
from pipelines.steps import gate, monitor, prepare, score, train
from pipelines.usecases.repurchase import USECASE

PARAMS = USECASE.load_params(
    Settings.load(),
    {
        "horizon_days": 21,
        "features.active_days": 90,
        "features.max_candidates": 40,
        "snapshots.count": 4,
        "snapshots.spacing_days": 14,
        "snapshots.observed_days": 28,
        "timing.rounds": 60,
        "timing.learning_rate": 0.1,
        "basket.rounds": 50,
        "basket.learning_rate": 0.15,
        "gate.min_returns": 100,
        "gate.min_lists": 100,
        "gate.bootstrap_replicates": 100,
        "monitoring.min_returns": 50,
    },
)
TODAY = date(2025, 6, 3)
#: A day whose horizon is over and known today.
PAST = TODAY - timedelta(days=PARAMS.horizon_days + PARAMS.features.settle_days)


@dataclass(frozen=True)
class Shop:
    """The deployment and what its steps told."""

    settings: Settings
    records: dict[str, dict[str, Any]]

    @property
    def lake(self) -> Lake:
        return Lake.of(self.settings)

    def rows(self, table: Table | str, day: date) -> pd.DataFrame:
        """Rows of a day."""
        found = self.lake.read(table, where=pa_dataset.field("as_of") == day)
        return found.to_pandas(date_as_object=True)


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """To be read only."""
    folder: Path = tmp_path_factory.mktemp("grocer")
    settings = Settings(var=folder / "var", lake="", pseudonym_key=SecretStr("key of the tests"))
    generate(500, 1, folder / "data", start=TODAY - timedelta(days=220), end=TODAY)
    arrived = datetime.combine(TODAY, datetime.min.time())
    ingest("repurchase", folder / "data", source="native", settings=settings, ingested_at=arrived)
    given: dict[str, Any] = {"settings": settings, "params": PARAMS}
    records = {"prepare": prepare.run(USECASE, PAST, training=True, **given)}
    records["train"] = train.run(USECASE, PAST, **given)
    records["gate"] = gate.run(USECASE, PAST, **given)
    records["score_past"] = score.run(USECASE, PAST, alias="challenger", **given)
    prepare.run(USECASE, TODAY, **given)
    records["score"] = score.run(USECASE, TODAY, alias="challenger", **given)
    records["monitor"] = monitor.run(USECASE, TODAY, **given)
    return Shop(settings, records)
