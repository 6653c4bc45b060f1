"""Fixtures that many tests share: folders of their own, never the user's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("MILLRACE_DATA", ROOT.parent / "shared" / "data"))


def pytest_report_header() -> str:
    """Say whether the tests on public data run."""
    return f"public data: {DATA}" if DATA.is_dir() else f"public data: none at {DATA}, set MILLRACE_DATA"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests on public data where it is not; the header and the count say so."""
    if DATA.is_dir():
        return
    left_out = [item for item in items if item.get_closest_marker("real_data")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session", autouse=True)
def own_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Everything that tests write goes below a temporary folder, whatever the user has set."""
    var = tmp_path_factory.mktemp("var")
    home = tmp_path_factory.mktemp("airflow")
    for name in [name for name in os.environ if name.startswith(("MILLRACE_", "AIRFLOW_"))]:
        if name != "MILLRACE_DATA":
            del os.environ[name]
    os.environ |= {
        "MILLRACE_HOME": str(ROOT),
        "MILLRACE_VAR": str(var),
        "MILLRACE_PSEUDONYM_KEY": "key of the tests",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW_CONFIG": str(ROOT / "airflow.cfg"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "DO_NOT_TRACK": "1",
    }
    return var


@pytest.fixture(scope="session")
def airflow_home(own_environment: Path) -> Path:
    """Home of Airflow for tests that import it."""
    return Path(os.environ["AIRFLOW_HOME"])


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the public data sets for tests marked ``real_data``."""
    return DATA
