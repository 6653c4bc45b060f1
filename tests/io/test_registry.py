"""The registry keeps versions that can be trusted, found again and traced to their code."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from models.classification.boosted import ChurnClassifier
from pipelines.errors import ModelGateError
from pipelines.io.registry import CHALLENGER, CHAMPION, Registry, code_version, typical_row


def frame(rows: int = 400) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "logins_7d": rng.poisson(5, rows).astype(float),
            "tenure_days": rng.uniform(0, 900, rows),
            "plan_tier": rng.choice(["starter", "growth"], rows).astype(object),
        }
    )
    X.loc[::7, "logins_7d"] = np.nan
    return X, rng.random(rows) < 1 / (1 + np.exp(X["tenure_days"].to_numpy() / 300 - 1))


def small_pipeline() -> tuple[object, pd.DataFrame]:
    X, churned = frame(60)
    X = X[["tenure_days"]]
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(X, churned), X.head(3)


def log(registry: Registry, model: object, example: pd.DataFrame, **tags: str) -> object:
    with registry.run("a run", {"as_of": "2025-06-02"}):
        return registry.log_model(model, example, tags=tags)


def test_the_default_model_holds_trusted_types_only_and_comes_back_as_it_was(
    registry: Registry, tmp_path: Path
) -> None:
    X, churned = frame()
    model = ChurnClassifier(random_state=0, n_jobs=1).fit(X, churned)
    version = log(registry, model, X.head(5))
    loaded = registry.load(version)
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    stored = [path.suffix for path in tmp_path.rglob("*") if path.is_file()]
    assert ".skops" in stored
    assert not {".pkl", ".pickle", ".joblib", ".cloudpickle"} & set(stored), "an executable pickle"


def shifted(values: object) -> object:
    """A function of a test module: no package that may stand in a stored model."""
    return values


def test_a_model_with_a_foreign_type_is_not_stored(registry: Registry) -> None:
    X, churned = frame(60)
    X = X[["tenure_days"]]
    model = make_pipeline(FunctionTransformer(shifted), LogisticRegression()).fit(X, churned)
    with pytest.raises(ModelGateError, match=r"types from outside .*refused: \[.*shifted"):
        log(registry, model, X.head(3))
    assert registry.aliased(CHALLENGER) is None


def test_a_foreign_type_in_a_stored_model_is_refused_before_it_is_loaded(registry: Registry) -> None:
    """Whoever can write artifacts cannot make the scoring process run their code."""
    model, _ = small_pipeline()
    model.steps[0][1].note_ = Fraction(1, 3)
    with registry.run("smuggled", {}):
        mlflow.sklearn.log_model(
            model,
            name="model",
            serialization_format="skops",
            skops_trusted_types=["fractions.Fraction"],
            pip_requirements=[],
            registered_model_name="churn",
        )
    with pytest.raises(ModelGateError, match=r"refused: \['fractions.Fraction'\]"):
        registry.load(registry.version("1"))


def test_aliases_follow_training_and_promotion(registry: Registry) -> None:
    assert registry.aliased(CHAMPION) is None
    assert registry.aliased(CHALLENGER) is None
    model, example = small_pipeline()
    first = log(registry, model, example, as_of="2025-06-02")
    assert registry.aliased(CHALLENGER) == first
    assert registry.aliased(CHAMPION) is None
    registry.promote(first)
    second = log(registry, model, example, as_of="2025-07-07")
    assert (first.label, second.label) == ("churn/1", "churn/2")
    assert registry.aliased(CHAMPION).label == "churn/1"
    assert registry.aliased(CHALLENGER).tags["as_of"] == "2025-07-07"


def test_a_version_tells_what_it_was_made_from_once_it_is_complete(registry: Registry) -> None:
    model, example = small_pipeline()
    version = log(registry, model, example)
    assert "fingerprint" not in registry.aliased(CHALLENGER).tags, "not before everything is stored"
    registry.tag(version.version, {"fingerprint": "f1"})
    assert registry.aliased(CHALLENGER).tags["fingerprint"] == "f1"


def test_a_run_whose_block_raises_is_marked_failed(registry: Registry) -> None:
    with pytest.raises(ZeroDivisionError), registry.run("a run", {"as_of": "x"}) as run_id:
        raise ZeroDivisionError
    assert registry.client.get_run(run_id).info.status == "FAILED"
    assert registry.client.get_run(run_id).data.tags["as_of"] == "x"


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_the_code_version_is_the_commit_and_says_if_files_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MILLRACE_CODE_VERSION", raising=False)
    for variable in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(variable, raising=False)
    git(tmp_path, "init", "-q")
    (tmp_path / "code.py").write_text("one = 1\n")
    git(tmp_path, "add", "code.py")
    git(tmp_path, "commit", "-q", "-m", "one")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert code_version(tmp_path) == commit[:7]
    (tmp_path / "notes.txt").write_text("not code that runs\n")
    assert code_version(tmp_path) == commit[:7]
    (tmp_path / "code.py").write_text("one = 2\n")
    assert code_version(tmp_path) == commit[:7] + "+"


def test_the_code_version_outside_git_is_given_by_the_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MILLRACE_CODE_VERSION", raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert code_version(tmp_path) == "unknown"
    monkeypatch.setenv("PATH", str(tmp_path))  # no git at all
    assert code_version(tmp_path) == "unknown"
    monkeypatch.setenv("MILLRACE_CODE_VERSION", "abc1234")
    assert code_version(tmp_path) == "abc1234"


def test_the_stored_example_is_nobodys_row() -> None:
    rows = pd.DataFrame(
        {
            "days": [1, 9, 4],
            "share": [0.1, np.nan, 0.7],
            "tier": ["a", "b", "b"],
            "none": [None, None, None],
            "yes": [True, False, True],
        }
    )
    typical = typical_row(rows)
    assert typical.to_dict("records") == [{"days": 4, "share": 0.1, "tier": "b", "none": None, "yes": True}]
    assert typical.dtypes.equals(rows.dtypes)
    assert typical.to_dict("records")[0] not in rows.to_dict("records")
