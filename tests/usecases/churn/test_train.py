"""A training run leaves a version that can be served, read and made again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mlflow
import numpy as np
import pyarrow.compute as pc
import pytest

from pipelines.errors import DataContractError
from pipelines.io.frames import model_frame
from pipelines.io.marts import mart_contract
from pipelines.io.registry import CHALLENGER, Registry
from pipelines.monitoring.reference import load_reference
from pipelines.steps import train
from pipelines.usecases.churn import USECASE
from pipelines.usecases.churn.dataset import read_scope, read_training
from pipelines.usecases.churn.schemas import VALIDATION

if TYPE_CHECKING:
    from tests.conftest import Deployment


def test_the_version_states_what_it_takes_and_gives(deployed: Deployment) -> None:
    registry = Registry(deployed.settings, "churn")
    version = registry.aliased(CHALLENGER)
    info = mlflow.models.get_model_info(f"models:/churn/{version.version}")
    themes = mart_contract(deployed.settings.dbt_project, "ml", "ml_churn_features").themes
    assert info.signature.inputs.input_names() == list(themes)
    assert info.signature.outputs is not None
    example = mlflow.models.Model.load(info.model_uri).load_input_example(info.model_uri)
    assert list(example.columns) == list(themes)
    assert len(example) == 1, "a row that is nobody's"


def test_the_version_says_what_it_was_made_from(deployed: Deployment) -> None:
    registry = Registry(deployed.settings, "churn")
    version = registry.aliased(CHALLENGER)
    assert version.tags["as_of"] == str(deployed.trained_on)
    for tag in ("code_version", "data_versions", "data_fingerprint", "fingerprint", "seconds_per_15000"):
        assert version.tags[tag], tag
    run = registry.client.get_run(version.run_id)
    logged = run.data.params
    assert logged["snapshots.months"] == "10"
    assert {name: str(value) for name, value in deployed.params().flat().items()}.items() <= logged.items()


def test_metrics_of_every_candidate_have_their_bounds(deployed: Deployment) -> None:
    registry = Registry(deployed.settings, "churn")
    metrics = registry.client.get_run(registry.aliased(CHALLENGER).run_id).data.metrics
    for candidate in ("challenger", "logistic", "usage_trend"):
        for name in ("auc_roc", "auc_pr", "recall_at_top20"):
            value = metrics[f"{candidate}.{name}"]
            low, high = metrics[f"{candidate}.{name}.low"], metrics[f"{candidate}.{name}.high"]
            assert low < high
            # Half of the replicates lie between them: near the value, which may lie just outside.
            assert (low + high) / 2 == pytest.approx(value, abs=0.03)
            assert value not in (low, high)
    assert "challenger.brier" in metrics
    assert "usage_trend.brier" not in metrics, "a rule's score is no probability"


def test_the_model_card_says_what_a_reader_must_know(deployed: Deployment) -> None:
    registry = Registry(deployed.settings, "churn")
    version = registry.aliased(CHALLENGER)
    card = mlflow.artifacts.load_text(f"runs:/{version.run_id}/model_card.md")
    record = deployed.records["train", deployed.trained_on]
    assert str(deployed.trained_on) in card
    assert f"{record['rows_judged']:,}" in card
    assert "plan_tier" in card, "metrics by subgroup"
    described = registry.client.get_model_version("churn", version.version).description
    assert described == card[:5000]


def test_the_model_kept_is_the_one_that_was_judged(deployed: Deployment) -> None:
    """Its scores on the out-of-time rows, read back, are the scores the gate saw."""
    registry = Registry(deployed.settings, "churn")
    model = registry.load(registry.aliased(CHALLENGER))
    judged = deployed.lake.read(VALIDATION)
    judged = judged.filter(pc.equal(judged["candidate"], "challenger"))
    snapshots = sorted(set(judged["snapshot"].to_pylist()))
    assert len(snapshots) == 3
    training = read_training(USECASE.run(deployed.trained_on, deployed.settings))
    test = training.keys["as_of"].isin(snapshots).to_numpy()
    assert test.sum() == judged.num_rows
    judged = judged.sort_by([("snapshot", "ascending"), ("account_key", "ascending")])
    again = model.predict_proba(training.X[test])[:, 1]
    np.testing.assert_allclose(again, judged["score"].to_numpy(), rtol=0, atol=1e-12)


def test_a_training_row_is_the_row_that_scoring_reads(deployed: Deployment) -> None:
    """Values and types of a snapshot, through both readers."""
    training = read_training(USECASE.run(deployed.trained_on, deployed.settings))
    newest = training.keys["as_of"].max()
    inside, _ = read_scope(USECASE.run(newest, deployed.settings))
    scored = model_frame(
        inside, list(mart_contract(deployed.settings.dbt_project, "ml", "ml_churn_features").themes)
    )
    of_day = (training.keys["as_of"] == newest).to_numpy()
    assert training.X[of_day].reset_index(drop=True).equals(scored)
    assert training.keys["account_key"][of_day].tolist() == inside["account_key"].to_pylist()


def test_references_for_monitoring_belong_to_the_version(deployed: Deployment) -> None:
    label = deployed.records["train", deployed.trained_on]["model_version"]
    reference = load_reference(deployed.lake, "churn", label)
    assert reference is not None
    assert set(mart_contract(deployed.settings.dbt_project, "ml", "ml_churn_features").themes) <= set(
        reference.features
    )
    assert load_reference(deployed.lake, "churn", "churn/99") is None


def test_the_same_training_reuses_its_version(working_copy: Deployment) -> None:
    first = working_copy.records["train", working_copy.trained_on]
    again = train.run(
        USECASE, working_copy.trained_on, settings=working_copy.settings, params=working_copy.params()
    )
    assert (again["reused"], again["model_version"]) == (True, first["model_version"])
    assert len(Registry(working_copy.settings, "churn").client.search_model_versions("name = 'churn'")) == 1


def test_other_parameters_make_another_version(working_copy: Deployment) -> None:
    """The champion is judged beside it, on the same rows."""
    record = train.run(
        USECASE, working_copy.trained_on, settings=working_copy.settings, params=working_copy.params(seed=1)
    )
    assert (record["reused"], record["model_version"]) == (False, "churn/2")
    judged = working_copy.lake.read(VALIDATION, columns=["candidate", "score"])
    counts = judged.group_by("candidate").aggregate([("score", "count")]).to_pylist()
    assert {row["candidate"] for row in counts} == {"challenger", "champion", "logistic", "usage_trend"}
    assert len({row["score_count"] for row in counts}) == 1


def test_a_history_that_is_too_short_is_refused(deployed: Deployment) -> None:
    with pytest.raises(DataContractError, match="at least 8 snapshots without a gap, got 6 of 6"):
        train.run(
            USECASE,
            deployed.trained_on,
            settings=deployed.settings,
            params=deployed.params(snapshots__months=6),
        )
