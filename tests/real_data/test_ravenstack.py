"""RavenStack, a public data set, through the same path: landed, trained on, judged, scored.

Five hundred accounts with few churns: whatever the gate says, it must say so and let no such model serve.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pyarrow.dataset as pa_dataset
import pytest

from pipelines.errors import ModelGateError
from pipelines.io.lake import Lake
from pipelines.io.promotions import read_promotions
from pipelines.io.registry import CHAMPION, Registry
from pipelines.settings import Settings
from pipelines.sources.ingest import IngestReport, ingest
from pipelines.steps import gate, prepare, score, train
from pipelines.usecases.churn import USECASE
from pipelines.usecases.churn.schemas import OUT_OF_SCOPE, SCORES, VALIDATION

pytestmark = pytest.mark.real_data

AS_OF = date(2024, 12, 30)


@dataclass(frozen=True)
class Run:
    settings: Settings
    landed: IngestReport
    records: dict[str, dict[str, Any]]

    @property
    def lake(self) -> Lake:
        return Lake.of(self.settings)


@pytest.fixture(scope="module")
def ran(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The parameters of the project as they are, but for the search and the number of replicates."""
    settings = Settings(var=tmp_path_factory.mktemp("ravenstack"))
    params = USECASE.load_params(Settings.load(), {"tuning.trials": 0, "gate.bootstrap_replicates": 100})
    landed = ingest(
        "churn",
        data_dir / "ravenstack",
        source="ravenstack",
        settings=settings,
        ingested_at=datetime.combine(AS_OF, time(3)),
        quality_checks=False,
    )
    records = {
        "prepare": prepare.run(USECASE, AS_OF, settings=settings, params=params, training=True),
        "train": train.run(USECASE, AS_OF, settings=settings, params=params),
        "gate": gate.run(USECASE, AS_OF, settings=settings, params=params),
        "score": score.run(USECASE, AS_OF, settings=settings, params=params, alias="challenger"),
    }
    return Run(settings, landed, records)


def test_every_delivered_row_is_accounted_for(ran: Run) -> None:
    for table in (*ran.landed.adapted, *ran.landed.tables):
        fates = table.landed + table.already_landed + table.duplicates + table.quarantined
        assert fates == table.read, table
    assert sum(table.quarantined for table in ran.landed.adapted) > 0, "the set is dirty"
    held = Counter(ran.lake.read("ops/quarantine")["table_name"].to_pylist())
    counted: Counter[str] = Counter()
    for table in (*ran.landed.adapted, *ran.landed.tables):
        counted[table.table] += table.quarantined
    assert held == +counted


def test_there_is_a_challenger_and_an_honest_verdict(ran: Run) -> None:
    trained, verdict = ran.records["train"], ran.records["gate"]
    assert trained["rows_judged"] > 0
    where = pa_dataset.field("churned") & (pa_dataset.field("candidate") == "challenger")
    churned = ran.lake.read(VALIDATION, where=where)
    assert churned.num_rows == trained["churned_judged"]
    accounts = len(set(churned["account_key"].to_pylist()))
    assert verdict["outcome"] == "not_enough_evidence"
    assert verdict["words"].startswith(
        f"Not enough evidence: {accounts} accounts churned in the judged months, too few to judge (at least 200"
    )
    [logged] = read_promotions(ran.lake, "churn")
    assert logged.words == verdict["words"]


def test_a_model_that_was_not_let_through_does_not_serve(ran: Run) -> None:
    assert Registry(ran.settings, "churn").aliased(CHAMPION) is None
    with pytest.raises(ModelGateError, match="carries the alias 'champion'"):
        score.run(USECASE, AS_OF, settings=ran.settings)


def test_its_accounts_can_be_looked_at_all_the_same(ran: Run) -> None:
    day = pa_dataset.field("as_of") == AS_OF
    scores = ran.lake.read(SCORES, where=day).to_pylist()
    outside = ran.lake.read(OUT_OF_SCOPE, where=day)
    assert len(scores) == ran.records["score"]["scored"] == ran.records["prepare"]["in_scope"] > 0
    assert len(scores) + outside.num_rows == ran.lake.read("features/churn", where=day).num_rows
    for row in scores:
        assert 0 <= row["score"] <= 1
        assert len({row["reason_1"], row["reason_2"], row["reason_3"]}) == 3
