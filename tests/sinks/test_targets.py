"""A publication reports every target, also where a sink has several."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines.settings import Settings
from pipelines.sinks.report import PublishReport
from pipelines.steps import publish
from pipelines.usecases.churn import USECASE

DAY = date(2025, 1, 6)


@dataclass(frozen=True)
class Place:
    """A target that takes everything."""

    sink: str
    object: str
    export: str = "export"

    def publish(self, rows: pa.Table, as_of: date, *_: Any) -> PublishReport:
        return PublishReport(
            sink=self.sink, object=self.object, as_of=as_of, run_id="r", jobs=1, complete=True, planned=rows.num_rows
        )  # fmt: skip


@pytest.mark.parametrize(
    ("places", "names"),
    [
        ([("salesforce", "A__c"), ("dynamodb", "t/a")], ["salesforce", "dynamodb"]),
        ([("salesforce", "A__c"), ("salesforce", "B__c")], ["salesforce/A__c", "salesforce/B__c"]),
        (
            [("dynamodb", "t/a"), ("salesforce", "A__c"), ("dynamodb", "t/b")],
            ["dynamodb/t/a", "salesforce", "dynamodb/t/b"],
        ),
    ],
)
def test_no_report_is_lost(
    places: list[tuple[str, str]], names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = published(places, tmp_path, monkeypatch)
    assert list(record) == names
    assert [(each["sink"], each["object"]) for each in record.values()] == places


def test_the_report_of_a_single_target_is_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = published([("salesforce", "A__c")], tmp_path, monkeypatch)
    assert (record["sink"], record["planned"], record["as_of"]) == ("salesforce", 3, "2025-01-06")


def published(places: list[tuple[str, str]], folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(publish, "require_served", lambda *_, **__: None)
    monkeypatch.setattr(publish, "_outbound", lambda *_: {"export": pa.table({"key": [1, 2, 3]})})
    targets: Any = tuple(Place(*each) for each in places)
    usecase = replace(USECASE, targets=targets, publishable=lambda run: None)
    return publish.run(usecase, DAY, settings=Settings(var=folder))
