"""`millrace generate` takes the sizes of its use case and refuses the others' by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pipelines.cli import _SIZES, Source, app
from pipelines.errors import ConfigError
from pipelines.sources.ingest import ADAPTERS
from pipelines.usecase import READERS_OF, UseCase


def call(*arguments: str) -> Any:
    """Run the command in this process; errors of ours come through as exceptions."""
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


def test_a_small_chain_is_generated(tmp_path: Path) -> None:
    sizes = ("--stores", "4", "--skus", "30", "--rows", "9000")
    made = call(
        "generate",
        "demand",
        *sizes,
        "--seed",
        "3",
        "--end",
        "2024-01-08",
        "--to",
        str(tmp_path / "out"),
        "--json",
    )
    assert made.exit_code == 0, made.output
    record = json.loads(made.stdout.strip().splitlines()[-1])
    assert (record["stores"], record["skus"], record["seed"], record["end"]) == (4, 30, 3, "2024-01-08")
    assert record["rows"]["sales"] == pytest.approx(9_000, rel=0.06)
    assert (tmp_path / "out" / "sales" / "2023-12.parquet").exists()


@pytest.mark.parametrize(
    ("usecase", "option", "words"),
    [
        ("demand", "--accounts", "generate demand takes --stores, --skus, --rows, got --accounts"),
        ("churn", "--stores", "generate churn takes --accounts, got --stores"),
        ("churn", "--rows", "generate churn takes --accounts, got --rows"),
    ],
)
def test_sizes_of_another_use_case_are_refused(tmp_path: Path, usecase: str, option: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        call("generate", usecase, option, "100", "--to", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_every_use_case_has_sizes_and_every_adapter_a_name() -> None:
    assert set(_SIZES) | set(READERS_OF) == set(UseCase)
    assert {source.value for source in Source} == {"native", *(name for _, name in ADAPTERS)}
