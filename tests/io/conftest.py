"""An MLflow back end whose tables are made once: making them takes seconds."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipelines.io.registry import CHAMPION, Registry
from pipelines.settings import Settings


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a back end without experiments and models."""
    settings = Settings(var=tmp_path_factory.mktemp("registry"))
    assert Registry(settings, "churn").aliased(CHAMPION) is None
    return settings.var / "mlflow"


@pytest.fixture
def registry(empty_registry: Path, tmp_path: Path) -> Registry:
    """A registry of the test's own below ``tmp_path``."""
    shutil.copytree(empty_registry, tmp_path / "mlflow")
    return Registry(Settings(var=tmp_path), "churn")
