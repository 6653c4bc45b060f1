"""The gate decides once, on the evidence, and a refusal leaves the champion where it is."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from pipelines.errors import ModelGateError
from pipelines.io.promotions import Outcome, read_promotions
from pipelines.io.registry import CHALLENGER, CHAMPION, Registry
from pipelines.steps import gate, train
from pipelines.usecases.churn import USECASE

if TYPE_CHECKING:
    from tests.conftest import Deployment


def test_the_first_model_that_passes_serves(deployed: Deployment) -> None:
    record = deployed.records["gate", deployed.trained_on]
    assert record["outcome"] == "promoted"
    assert record["words"].startswith("Passed: ")
    registry = Registry(deployed.settings, "churn")
    assert registry.aliased(CHAMPION).label == "churn/1"
    assert registry.aliased(CHAMPION).tags["gate"] == "pass"
    [logged] = read_promotions(deployed.lake, "churn")
    assert (logged.model_version, logged.outcome) == ("churn/1", Outcome.PROMOTED)
    assert logged.previous_version is None
    assert logged.who == f"gate:{registry.aliased(CHAMPION).run_id}"
    named = {check["name"] for check in logged.checks}
    assert {"auc_pr", "recall_at_top20", "scoring_seconds"} <= named
    assert all(check["passed"] for check in logged.checks)


def test_a_decision_is_kept_even_if_the_bar_was_raised_since(working_copy: Deployment) -> None:
    again = gate.run(
        USECASE,
        working_copy.trained_on,
        settings=working_copy.settings,
        params=working_copy.params(gate__min_auc_pr=0.99),
    )
    assert (again["outcome"], again["decided_before"]) == ("promoted", True)
    assert again["words"] == working_copy.records["gate", working_copy.trained_on]["words"]
    assert len(read_promotions(working_copy.lake, "churn")) == 1


@pytest.mark.parametrize(
    ("stricter", "outcome", "words"),
    [
        ({"gate__min_auc_pr": 0.999}, "refused", "AUC-PR"),
        ({"gate__min_positives": 100_000}, "not_enough_evidence", "100000"),
    ],
    ids=["bar too high", "too few labels"],
)
def test_a_challenger_that_fails_does_not_serve(
    working_copy: Deployment, stricter: dict[str, float], outcome: str, words: str
) -> None:
    params = working_copy.params(seed=1, **stricter)
    day, settings = working_copy.trained_on, working_copy.settings
    challenger = train.run(USECASE, day, settings=settings, params=params)["model_version"]
    record = gate.run(USECASE, day, settings=settings, params=params)
    assert (record["model_version"], record["outcome"]) == (challenger, outcome)
    assert words in record["words"].replace(",", "")
    registry = Registry(settings, "churn")
    assert registry.aliased(CHAMPION).label == "churn/1"
    assert registry.aliased(CHALLENGER).label == challenger == "churn/2"
    newest = read_promotions(working_copy.lake, "churn")[-1]
    assert (newest.outcome, newest.previous_version) == (Outcome(outcome), "churn/1")


def test_the_gate_judges_the_model_of_the_day_only(deployed: Deployment) -> None:
    with pytest.raises(ModelGateError, match=r"trained for 2025-05-05, got 2025-06-02.*millrace train churn"):
        gate.run(USECASE, date(2025, 5, 5), settings=deployed.settings, params=deployed.params())
