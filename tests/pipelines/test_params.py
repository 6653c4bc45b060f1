"""Every parameter file loads; a wrong key or value is refused with words that help."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from pipelines.errors import ConfigError
from pipelines.settings import Settings
from pipelines.usecases.churn import USECASE
from pipelines.usecases.churn.params import ChurnParams

PATH = USECASE.folder / "params.yaml"


def test_the_shipped_file_holds_the_mission_s_gate() -> None:
    params = ChurnParams.load(PATH)
    assert params.gate.min_auc_pr == 0.65
    assert params.gate.min_recall_at_top20 == 0.55
    assert params.snapshots.holdout_months == 4
    assert params.monitoring.max_score_shift == 0.15
    assert (params.monitoring.min_predictions, params.monitoring.max_predictions) == (13_000, 16_000)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("gate.min_aucpr", 0.5, r"gate.min_aucpr: Extra inputs are not permitted, got 0.5.*gate.min_auc_pr"),
        ("gate.min_auc_pr", 1.5, "gate.min_auc_pr: Input should be less than 1, got 1.5"),
        ("gate.min_auc_pr", "high", "gate.min_auc_pr: .*valid number"),
        ("risk_levels.high", 0.9, "medium < high < critical, got 0.05, 0.9, 0.65"),
        ("publish.on_leave", "forget", "publish.on_leave: .*'forget'"),
        ("snapshots.months", 2, "snapshots.months: .*greater than or equal to 6, got 2"),
    ],
)
def test_what_is_wrong_is_named(key: str, value: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ChurnParams.load(PATH, {key: value})


def test_every_section_is_required(tmp_path: Path) -> None:
    content = yaml.safe_load(PATH.read_text())
    for section in content:
        rest = {key: value for key, value in content.items() if key != section}
        path = tmp_path / "params.yaml"
        path.write_text(yaml.safe_dump(rest))
        if section in ("seed",):
            continue
        with pytest.raises(ConfigError, match=f"{section}: Field required"):
            ChurnParams.load(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [("a: [", "not valid YAML"), ("- 1", "must be a mapping, got list"), (None, "does not exist")],
)
def test_unreadable_files(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "params.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=message):
        ChurnParams.load(path)


def test_a_deployment_overrides_by_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    before = USECASE.load_params(Settings.load())
    monkeypatch.setenv("MILLRACE_CHURN_PARAMS", json.dumps({"tuning.trials": 0}))
    after = USECASE.load_params(Settings.load())
    assert (before.tuning.trials, after.tuning.trials) == (8, 0)
    assert before.fingerprint != after.fingerprint
    monkeypatch.setenv("MILLRACE_CHURN_PARAMS", "[1]")
    with pytest.raises(ConfigError, match="must be a mapping of dotted keys"):
        Settings.load()


def test_flat_names_every_value() -> None:
    flat = ChurnParams.load(PATH).flat()
    assert flat["gate.min_auc_pr"] == 0.65
    assert not any(isinstance(value, dict) for value in flat.values())
