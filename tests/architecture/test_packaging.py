"""The wheel holds the packages and their data files; the key libraries are the locked ones."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_the_environment_is_the_locked_one() -> None:
    locked = dict(re.findall(r'^name = "([^"]+)"\nversion = "([^"]+)"', (ROOT / "uv.lock").read_text(), re.M))
    key = (
        "apache-airflow", "dbt-core", "dbt-duckdb", "deltalake", "duckdb", "great-expectations", "lightgbm",
        "mlflow", "numpy", "pandas", "polars", "pyarrow", "scikit-learn", "simple-salesforce",
    )  # fmt: skip
    installed = {name: importlib.metadata.version(name) for name in key}
    assert installed == {name: locked[name] for name in key}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from a copy."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in ("pipelines", "features", "models", "dags", "tests"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source / name)
    code = f"from setuptools.build_meta import build_wheel; print(build_wheel({str(folder)!r}))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=True)
    return zipfile.ZipFile(folder / done.stdout.strip().splitlines()[-1])


def test_the_wheel_holds_packages_and_their_data(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    kinds = {".yaml", ".j2", ".css", ".js"}
    data = [path for path in (ROOT / "pipelines").rglob("*") if path.suffix in kinds]
    assert data
    for path in [*data, ROOT / "pipelines" / "cli.py", ROOT / "features" / "schemas.py"]:
        assert str(path.relative_to(ROOT)) in names
    assert not [name for name in names if name.startswith(("tests/", "dags/"))]


#: Shows the help with what the laboratory needs out of reach, and its code if it is named; else imports every module
#: of the product first.
_WITHOUT = """
import importlib, importlib.metadata, pkgutil, sys
from packaging.requirements import Requirement

needed = [Requirement(each) for each in importlib.metadata.requires("millrace")]
extra = {each.name for each in needed if each.marker and each.marker.evaluate({"extra": "lab"})}
extra -= {each.name for each in needed if not each.marker or each.marker.evaluate({"extra": ""})}
absent = (*extra, *sys.argv[1:])

def below(name, parents):
    return any(f"{name}.".startswith(f"{each}.") for each in parents)

class Absent:
    def find_spec(self, name, path=None, target=None):
        if below(name, absent):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
import features, models, pipelines
if not sys.argv[1:]:
    for package in (features, models, pipelines):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + ".", onerror=lambda name: None):
            if not below(module.name, ["pipelines.lab"]):
                importlib.import_module(module.name)
from typer.testing import CliRunner
from pipelines.cli import command_line
shown = CliRunner().invoke(command_line(), ["--help"])
print(sorted(extra), pipelines.__path__[0], shown.exit_code, shown.output)
"""


@pytest.mark.parametrize(("absent", "offered"), [((), True), (("pipelines.lab",), False)])
def test_the_product_works_without_the_laboratory(
    wheel: zipfile.ZipFile, tmp_path: Path, absent: tuple[str, ...], offered: bool
) -> None:
    """Without its dependencies, as from a plain installation, and without its code, as in the image."""
    wheel.extractall(tmp_path)
    # A file, for PySpark ends a process whose main module has none.
    (tmp_path / "without.py").write_text(_WITHOUT)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "without.py", *absent],
        env={**os.environ, "PYTHONPATH": str(tmp_path), "MILLRACE_HOME": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"['mlforecast', 'moto', 'trustme'] {tmp_path / 'pipelines'} 0 ")
    assert " train " in done.stdout
    assert (" generate " in done.stdout) is offered
