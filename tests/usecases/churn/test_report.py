"""The pages are written whatever is there, and show what is."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.dataset as pa_dataset

from pipelines.steps import report
from pipelines.usecases.churn import USECASE
from pipelines.usecases.churn.schemas import SCORES

if TYPE_CHECKING:
    from tests.conftest import Deployment


def test_the_page_opens_with_the_list_and_holds_the_verdict(module_copy: Deployment) -> None:
    day = module_copy.scored_on
    record = report.run(USECASE, day, settings=module_copy.settings, params=module_copy.params())
    page = Path(record["page"]).read_text()
    assert str(day) in page
    assert "churn/1" in page
    assert module_copy.records["gate", module_copy.trained_on]["words"].split(";")[0][:40] in page
    scores = module_copy.lake.read(SCORES, where=pa_dataset.field("as_of") == day).sort_by("rank")
    accounts = module_copy.lake.read("raw/churn_accounts").to_pylist()
    names = {row["account_key"]: row["account_name"] for row in accounts}
    first = scores["account_key"][0].as_py()
    assert names[first] in page
    assert record["missing"] == ["findings", "publication"], "neither was monitored nor published here"
    index = Path(record["index"]).read_text()
    assert "churn.html" in index
    assert "features/churn" in index


def test_what_is_missing_is_said_with_the_command_that_makes_it(module_copy: Deployment) -> None:
    """A day before everything: the page is written all the same."""
    record = report.run(USECASE, date(2025, 4, 7), settings=module_copy.settings, params=module_copy.params())
    assert "worklist" in record["missing"]
    page = Path(record["page"]).read_text()
    assert "There are no scores of 2025-04-07." in page
    assert "millrace score churn --as-of 2025-04-07" in page
