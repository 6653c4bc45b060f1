"""The command teaches, answers machines in JSON, and ends in one line and a code when it cannot go on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pyarrow.dataset as pa_dataset
import pytest
import typer.main
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.discovery import every
from pipelines.errors import ConfigError, DataContractError, ModelGateError
from pipelines.lab.simulation.churn import generate
from pipelines.settings import Settings

if TYPE_CHECKING:
    from tests.conftest import Deployment

COMMANDS = {
    "doctor", "ingest", "train", "score", "publish", "run", "monitor", "report", "docs", "explain",
    "promote", "rollback", "vacuum", "forget", "dbt",
}  # fmt: skip
STEPS = ("train", "score", "publish", "run", "monitor", "report")

_group = typer.main.get_command(app)
_commands: dict[str, Any] = _group.commands  # type: ignore[attr-defined]


def millrace(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a person would: its own process, no terminal."""
    return subprocess.run(
        [sys.executable, "-m", "pipelines.cli", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def call(*arguments: str) -> Any:
    """Run the command in this process; errors of ours come through as exceptions."""
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


def only_line(text: str) -> str:
    lines = text.strip().splitlines()
    assert len(lines) == 1, text
    return lines[0]


def test_the_commands_are_the_ones_documented() -> None:
    assert set(_commands) == COMMANDS


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_and_option_says_what_it_is_for(name: str) -> None:
    command = _commands[name]
    assert len(command.help) > 20, f"{name} needs a help text"
    for parameter in command.params:
        if parameter.name != "help":
            assert parameter.help, f"{name} {parameter.name} needs a help text"
    shown = call(name, "--help")
    assert shown.exit_code == 0
    flat = " ".join(shown.output.split())
    for parameter in command.params:
        if isinstance(parameter, click.Option) or parameter.param_type_name == "option":
            assert parameter.opts[0] in flat, f"{name} --help must show {parameter.opts[0]}"


def test_help_names_the_exit_codes() -> None:
    shown = call("--help").output
    for error in (ConfigError, DataContractError, ModelGateError):
        assert f"{error.exit_code} " in shown
    assert "Exit codes" in shown


def test_help_does_not_wait_for_heavy_libraries() -> None:
    code = (
        "import sys; import pipelines.cli; "
        "print([m for m in ('pandas','pyarrow','mlflow','duckdb','sklearn','airflow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("step", STEPS)
def test_a_day_that_is_none_is_a_configuration_error(step: str) -> None:
    with pytest.raises(ConfigError, match="as_of must be a day as YYYY-MM-DD, got '2025-6-2'"):
        call(step, "churn", "--as-of", "2025-6-2")


@pytest.mark.parametrize(
    "arguments", [("score", "churn"), ("score", "nothing", "--as-of", "2025-06-02"), ("nonsense",)]
)
def test_wrong_arguments_end_with_2(arguments: tuple[str, ...]) -> None:
    assert call(*arguments).exit_code == 2


def test_the_nearest_use_case_is_named() -> None:
    shown = " ".join(call("score", "chrun", "--as-of", "2025-06-02").output.replace("│", " ").split())
    assert "use case must be one of churn, clustering," in shown
    assert "got 'chrun'; did you mean churn?" in shown


def test_a_configuration_error_is_one_line_and_code_2(tmp_path: Path) -> None:
    """What only systems with versions can do is refused before anything is read."""
    done = millrace("rollback", "clustering", "--published", "--why", "x", MILLRACE_VAR=str(tmp_path))
    assert (done.returncode, done.stdout) == (ConfigError.exit_code, "")
    line = only_line(done.stderr)
    assert line.startswith("ConfigError clustering publishes no versions that could be rolled back")


@pytest.mark.parametrize("usecase", [each.name for each in every() if not each.targets])
def test_what_is_not_published_is_neither_published_nor_rolled_back(usecase: str) -> None:
    with pytest.raises(ConfigError, match=f"{usecase} publishes nothing: its results are read in the lake"):
        call("publish", usecase, "--as-of", "2025-06-02")
    with pytest.raises(ConfigError, match=f"{usecase} publishes no versions"):
        call("rollback", usecase, "--published", "--why", "x")


def test_a_source_that_there_is_not_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"source of demand must be one of .*long.*native.*, got 'lnog'"):
        call("ingest", "demand", "--from", str(tmp_path), "--source", "lnog")


def test_a_use_case_that_reads_anothers_tables_says_whose() -> None:
    with pytest.raises(
        ConfigError, match="clustering reads the tables of demand: run `millrace ingest demand`"
    ):
        call("ingest", "clustering")


@pytest.mark.parametrize("keys", [(), ("S-1",), ("S-1", "P-1", "more")])
def test_what_is_explained_is_named_by_as_many_keys_as_it_takes(keys: tuple[str, ...]) -> None:
    with pytest.raises(
        ConfigError, match=r"named by STORE SKU, got .*: run `millrace explain demand STORE SKU`"
    ):
        call("explain", "demand", *keys)


def test_nothing_is_explained_before_anything_was_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MILLRACE_VAR", str(tmp_path))
    with pytest.raises(DataContractError, match="has no rows: run `millrace score churn --as-of DAY` first"):
        call("explain", "churn", "somebody")


def test_the_newest_result_is_explained_to_people_and_machines(
    working_copy: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in working_copy.environment.items():
        monkeypatch.setenv(name, value)
    newest = pa_dataset.field("as_of") == working_copy.scored_on
    scored = working_copy.lake.read("predictions/churn_scores", columns=["account_key"], where=newest)
    key = scored["account_key"][0].as_py()
    record = json.loads(call("explain", "churn", key, "--json").stdout)
    assert (record["as_of"], record["account_key"]) == (str(working_copy.scored_on), key)
    earlier = json.loads(
        call("explain", "churn", key, "--as-of", str(working_copy.trained_on), "--json").stdout
    )
    assert earlier["as_of"] == str(working_copy.trained_on)
    words = call("explain", "churn", key).stdout
    assert key in words
    assert not words.startswith("{")


def test_dbt_s_documentation_goes_into_the_report_site(tmp_path: Path) -> None:
    done = millrace("docs", "--json", MILLRACE_VAR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    page = tmp_path / "report" / "dbt_docs" / "index.html"
    assert json.loads(done.stdout) == {"page": str(page)}
    assert "ml_churn_features" in page.read_text(encoding="utf-8")


def test_data_that_are_missing_are_one_line_and_code_3(tmp_path: Path) -> None:
    done = millrace("explain", "churn", "[an account]", "--as-of", "2025-06-02", MILLRACE_VAR=str(tmp_path))
    assert done.returncode == DataContractError.exit_code
    line = only_line(done.stderr)
    assert "no score of '[an account]' on 2025-06-02" in line
    assert line.endswith("run `millrace score churn --as-of 2025-06-02`")


def test_a_model_that_may_not_serve_is_one_line_and_code_4(working_copy: Deployment) -> None:
    """Behind the progress lines of the step."""
    working_copy.lake.delete("ops/promotions", "usecase = 'churn'")
    day = str(working_copy.scored_on)
    done = millrace("publish", "churn", "--as-of", day, "--json", **working_copy.environment)
    assert (done.returncode, done.stdout) == (ModelGateError.exit_code, "")
    assert "Traceback" not in done.stderr
    assert (
        done.stderr.strip()
        .splitlines()[-1]
        .startswith("ModelGateError predictions/churn_scores of 2025-07-07 comes from")
    )


def test_a_small_company_is_landed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_VAR", str(tmp_path / "var"))
    made = generate(50, 3, tmp_path / "var" / "data" / "churn", end=date(2023, 7, 3))
    first = call("ingest", "churn", "--json")
    landed = json.loads(first.stdout.strip().splitlines()[-1])
    tables = {table["table"]: table for table in landed["tables"]}
    assert {name: table["read"] for name, table in tables.items()} == made.rows
    assert all(
        table["landed"] + table["quarantined"] + table["duplicates"] == table["read"]
        for table in tables.values()
    )
    again = call("ingest", "churn")
    assert again.exit_code == 0
    assert "already there" in again.stdout


def test_records_of_steps_are_json_for_machines_and_tables_for_people(
    working_copy: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in working_copy.environment.items():
        monkeypatch.setenv(name, value)
    day = str(working_copy.scored_on)
    machine = call("monitor", "churn", "--as-of", day, "--json")
    record = json.loads(machine.stdout.strip().splitlines()[-1])
    assert set(record) == {"monitor"}
    assert record["monitor"]["as_of"] == day
    person = call("monitor", "churn", "--as-of", day)
    assert "churn monitor" in person.stdout
    assert "churn/1" in person.stdout


def test_models_are_promoted_and_rolled_back_by_hand(
    working_copy: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in working_copy.environment.items():
        monkeypatch.setenv(name, value)
    done = call("promote", "churn", "1", "--why", "looked at [every] plot", "--json")
    assert json.loads(done.stdout) == {
        "champion": "churn/1", "before": "churn/1", "why": "looked at [every] plot",
    }  # fmt: skip
    assert "looked at [every] plot" in call("promote", "churn", "1", "--why", "looked at [every] plot").stdout
    assert call("promote", "churn", "1").exit_code == 2, "a reason is asked for"


def test_vacuum_removes_old_files_of_every_table(
    working_copy: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MILLRACE_VAR", str(working_copy.settings.var))
    removed = json.loads(call("vacuum", "--json").stdout)
    assert set(removed) == set(working_copy.lake.tables())
    assert call("vacuum", "--retain-days", "0").exit_code == 2


def test_doctor_answers_machines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MILLRACE_VAR", str(tmp_path))
    monkeypatch.setenv("MILLRACE_PSEUDONYM_KEY", "short")
    done = call("doctor", "--json")
    found = {check["name"]: check for check in json.loads(done.stdout)}
    assert not found["pseudonym key"]["ok"]
    assert done.exit_code == ConfigError.exit_code


def test_dbt_is_passed_through() -> None:
    assert call("dbt", "no-such-command").exit_code == 2
    assert Settings.load().dbt_project.is_dir()
