"""The laboratory's commands take the parameters of the functions that they run, which are found and not listed."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from pipelines.errors import ConfigError
from pipelines.lab.extension import EXTENSION
from pipelines.lab.numpydoc import described
from pipelines.lab.simulation import simulations

app = typer.Typer(rich_markup_mode="rich", pretty_exceptions_enable=False)
EXTENSION.commands(app)


def call(*arguments: str) -> Any:
    """Run a command in this process; errors of ours come through as exceptions."""
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


def flat(text: str) -> str:
    return " ".join(text.replace("│", " ").split())


def test_what_there_is_is_listed_without_importing_it() -> None:
    code = (
        "import sys, typer; from typer.testing import CliRunner; from pipelines.lab.extension import EXTENSION\n"
        "app = typer.Typer(); EXTENSION.commands(app)\n"
        "for name in ('generate', 'bench'): print(CliRunner().invoke(app, [name, '--help']).output)\n"
        "print([m for m in ('numpy', 'pandas', 'pyarrow', 'sklearn', 'moto') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    shown = flat(done.stdout)
    assert shown.endswith("[]")
    assert "Causal simulation of a B2B SaaS" in shown
    assert "Bench of the churn classifier as shipped on a public data set" in shown
    assert "churn clustering" not in shown


@pytest.mark.parametrize("usecase", sorted(simulations()))
def test_every_simulation_says_what_its_options_mean(usecase: str) -> None:
    generate = import_module(f"pipelines.lab.simulation.{usecase}").generate
    parameters = inspect.signature(generate).parameters
    assert set(described(generate)) == set(parameters)
    assert all(each.default is not inspect.Parameter.empty for each in parameters.values())
    shown = flat(call("generate", usecase, "--help").output)
    for name in set(parameters) - {"progress"}:
        assert f"--{name.replace('_', '-')}" in shown


def test_a_command_teaches_its_options_and_their_defaults() -> None:
    shown = flat(call("bench", "gower", "--help").output)
    assert "Compute all distances of `rows` simulated rows" in shown
    assert "Rows of the table. [default: 5000]" in shown
    assert "Parameters" not in shown


def test_a_small_chain_is_generated(tmp_path: Path) -> None:
    sizes = ("--stores", "4", "--skus", "30", "--rows", "9000")
    days = ("--start", "2022-10-03", "--end", "2024-01-08")
    made = call("generate", "demand", *sizes, *days, "--seed", "3", "--to", str(tmp_path / "out"), "--json")
    assert made.exit_code == 0, made.output
    record = json.loads(made.stdout.strip().splitlines()[-1])
    assert (record["stores"], record["skus"], record["seed"], record["end"]) == (4, 30, 3, "2024-01-08")
    assert record["rows"]["sales"] == pytest.approx(9_000, rel=0.06)
    assert (tmp_path / "out" / "sales" / "2023-12.parquet").exists()


@pytest.mark.parametrize(
    ("usecase", "option"), [("demand", "--accounts"), ("churn", "--stores"), ("churn", "--rows")]
)
def test_sizes_of_another_use_case_are_refused(tmp_path: Path, usecase: str, option: str) -> None:
    refused = call("generate", usecase, option, "100", "--to", str(tmp_path / "out"))
    assert refused.exit_code == 2
    assert f"No such option: {option}" in flat(refused.output)
    assert not (tmp_path / "out").exists()


def test_a_wrong_name_lists_all_and_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"bench must be one of cdnow, churn, .*, got 'tellco'; .* telco\?"):
        call("bench", "tellco")
    with pytest.raises(ConfigError, match=r"simulated must be one of churn, .*, got 'clustering'"):
        call("generate", "clustering")


def test_a_bench_on_public_data_names_the_files_that_it_needs() -> None:
    with pytest.raises(ConfigError, match=r"bench telco needs --data: the folder with Telco-Customer-Churn"):
        call("bench", "telco")


def test_a_day_that_is_none_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="must be a day as YYYY-MM-DD, got '2025-6-2'"):
        call("generate", "churn", "--end", "2025-6-2")


@pytest.mark.parametrize("name", ["demo", "up", "airflow"])
def test_the_deployment_on_a_laptop_is_explained(name: str) -> None:
    shown = call(name, "--help")
    assert shown.exit_code == 0
    assert len(flat(shown.output)) > 100
