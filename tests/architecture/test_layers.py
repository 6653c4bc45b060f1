"""Imports point one way: dags -> pipelines -> features, models. Nothing points back."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FORBIDDEN = {
    "dags": {"dags", "features", "models", "tests"},
    "features": {"dags", "pipelines", "models", "airflow", "mlflow", "tests"},
    "models": {"dags", "pipelines", "features", "airflow", "mlflow", "tests"},
    "pipelines": {"dags", "tests"},
}
FILES = [(layer, path) for layer in FORBIDDEN for path in sorted((ROOT / layer).rglob("*.py"))]


def imported_roots(path: Path) -> set[str]:
    roots: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            roots.add(node.module.split(".")[0])
    return roots


def test_there_is_something_to_check() -> None:
    assert {layer for layer, _ in FILES} == set(FORBIDDEN)


@pytest.mark.parametrize(("layer", "path"), FILES, ids=[str(p.relative_to(ROOT)) for _, p in FILES])
def test_layer_imports(layer: str, path: Path) -> None:
    assert not (bad := imported_roots(path) & FORBIDDEN[layer]), f"{layer}/ must not import {sorted(bad)}"


def test_nothing_outside_the_laboratory_imports_it() -> None:
    """It is found by its entry point where it is installed."""
    for layer, path in FILES:
        if "lab" not in path.relative_to(ROOT).parts:
            names = {
                name
                for node in ast.walk(ast.parse(path.read_text()))
                for name in (
                    [alias.name for alias in node.names]
                    if isinstance(node, ast.Import)
                    else [f"{node.module}.{alias.name}" for alias in node.names]
                    if isinstance(node, ast.ImportFrom)
                    else []
                )
            }
            bad = {name for name in names if f"{name}.".startswith("pipelines.lab.")}
            assert not bad, f"{path.relative_to(ROOT)} ({layer}) imports {sorted(bad)}"


def test_nothing_shadows_a_library() -> None:
    # dbt imports every top-level module called dbt_* as a plugin; `import docker` must find the library.
    assert not list((ROOT / "dags").glob("dbt_*.py")) + list(ROOT.glob("dbt_*.py"))
    assert not (ROOT / "dbt_project" / "__init__.py").exists()
    assert not (ROOT / "docker" / "__init__.py").exists()
    # Airflow puts every .py below the plugins folder into sys.modules by its stem.
    assert not list((ROOT / "docker" / "empty_plugins").rglob("*.py"))


def test_no_hook_shares_its_name_with_a_module() -> None:
    """`from pipelines.usecases.NAME import module` would get the hook until something imported the module."""
    for folder in sorted((ROOT / "pipelines" / "usecases").glob("*/")):
        if (path := folder / "__init__.py").exists():
            hooks = {
                node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)
            }
            assert not hooks & {module.stem for module in folder.glob("*.py")}, folder.name


def test_wall_clocks_are_read_only_where_a_fact_is_logged() -> None:
    """``as_of`` is the only clock of a computation; arrival and audit times are facts of the world."""
    allowed = {
        "pipelines/cli.py": "arrival of a delivery, time of a manual promotion",
        "pipelines/io/runs.py": "start of a step in the log of runs",
        "pipelines/steps/gate.py": "time of a decision in the promotion log",
        "pipelines/sinks/ledger.py": "times of what was sent, in the ledger",
    }
    clocks = {"now", "today", "utcnow"}
    found = {
        str(path.relative_to(ROOT))
        for layer, path in FILES
        if layer != "dags" and "emulator" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in clocks
    }
    assert found <= set(allowed), f"clock read in {sorted(found - set(allowed))}: take as_of instead"
