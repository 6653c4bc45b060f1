"""The wheel holds the packages and their data files; the key libraries are the locked ones."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_environment_is_the_locked_one() -> None:
    locked = dict(re.findall(r'^name = "([^"]+)"\nversion = "([^"]+)"', (ROOT / "uv.lock").read_text(), re.M))
    key = (
        "apache-airflow", "dbt-core", "dbt-duckdb", "deltalake", "duckdb", "great-expectations", "lightgbm",
        "mlflow", "numpy", "pandas", "polars", "pyarrow", "scikit-learn", "simple-salesforce",
    )  # fmt: skip
    installed = {name: importlib.metadata.version(name) for name in key}
    assert installed == {name: locked[name] for name in key}


def test_the_wheel_holds_packages_and_their_data(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in ("pipelines", "features", "models", "dags", "tests"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source / name)
    code = f"from setuptools.build_meta import build_wheel; print(build_wheel({str(tmp_path)!r}))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=True)
    names = zipfile.ZipFile(tmp_path / done.stdout.strip().splitlines()[-1]).namelist()
    kinds = {".yaml", ".j2", ".css", ".js"}
    data = [path for path in (ROOT / "pipelines").rglob("*") if path.suffix in kinds]
    assert data
    for path in [*data, ROOT / "pipelines" / "cli.py", ROOT / "features" / "schemas.py"]:
        assert str(path.relative_to(ROOT)) in names
    assert not [name for name in names if name.startswith(("tests/", "dags/"))]
