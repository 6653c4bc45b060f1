"""Directions inside ``pipelines``: steps know the type of a use case, use cases know primitives, nobody knows the lab."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from pipelines.usecase import Deferred

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ROOT / "pipelines"
PRIMITIVES = ("io", "sinks", "sources", "monitoring", "reporting", "engines")
#: Modules directly below ``pipelines`` on which everything may rest.
GROUND = ("errors", "settings", "params", "measure", "discovery")

#: By folder: what it may import from ``pipelines``, besides itself. Functions included: late is not allowed either.
ALLOWED = {
    "steps": (*GROUND, *PRIMITIVES, "usecase"),
    "usecases": (*GROUND, *PRIMITIVES, "usecase"),
    **dict.fromkeys(PRIMITIVES, (*GROUND, *PRIMITIVES, "usecase", "extension")),
    # An erasure ends with pages written anew, which is a step.
    "privacy": (*GROUND, *PRIMITIVES, "usecase", "steps", "extension"),
    "orchestration": (*GROUND, *PRIMITIVES, "steps"),
}


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_of(path): path for path in sorted(PRODUCT.rglob("*.py"))}


def imports(tree: ast.AST) -> Iterator[str]:
    """Modules of ``pipelines`` that a tree imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            joined = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in FILES else node.module for name in joined]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] == "pipelines")


@cache
def everything(module: str) -> frozenset[str]:
    return frozenset(imports(ast.parse(FILES[module].read_text())))


def at_import(module: str) -> set[str]:
    """What is imported with the module or by a type checker; not what functions import when they are called."""
    tree = ast.parse(FILES[module].read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [ast.Pass()]
    return set(imports(tree))


def folder(module: str) -> str:
    """First name below ``pipelines``."""
    return module.partition(".")[2].partition(".")[0]


def test_there_is_something_to_check() -> None:
    assert {folder(module) for module in FILES} >= {*ALLOWED, "lab", "usecase", "discovery"}


@pytest.mark.parametrize("name", ALLOWED)
def test_folders_import_what_they_may(name: str) -> None:
    bad = {
        (module, found)
        for module in FILES
        if folder(module) == name
        for found in everything(module)
        if folder(found) not in (*ALLOWED[name], name) and found != "pipelines.usecases"
    }
    assert not bad, f"pipelines/{name} must not import {sorted(bad)}"


def test_use_cases_import_no_sibling() -> None:
    bad = {
        (module, found)
        for module in FILES
        for found in everything(module)
        if folder(module) == folder(found) == "usecases"
        and found.count(".") > 1
        and module.split(".")[2:3] != found.split(".")[2:3]
    }
    assert not bad, f"use cases share code below them, never with each other: {sorted(bad)}"


def test_deferred_hooks_are_of_the_modules_that_type_checkers_see() -> None:
    found = {
        (package, name): f"{package}.{name.removeprefix('_')}" == value.module
        for package in FILES
        if folder(package) == "usecases" and package.count(".") == 2 and FILES[package].stem == "__init__"
        for name, value in vars(import_module(package)).items()
        if isinstance(value, Deferred)
    }
    assert found
    assert all(found.values()), (
        f"the name says the module: {[key for key, same in found.items() if not same]}"
    )


def test_nothing_imports_the_lab() -> None:
    bad = {
        (module, found)
        for module in FILES
        if folder(module) != "lab"
        for found in everything(module)
        if folder(found) == "lab"
    }
    assert not bad, f"the lab is an extra and may be absent: {sorted(bad)}"


def test_sources_do_not_import_privacy() -> None:
    bad = {
        (module, found)
        for module in FILES
        if folder(module) == "sources"
        for found in everything(module)
        if folder(found) == "privacy"
    }
    assert not bad, f"erasure knows what was landed, not the other way: {sorted(bad)}"


def test_no_circles() -> None:
    """Not among modules either, imports for type checkers included."""
    graph = {module: at_import(module) & set(FILES) - {module} for module in FILES}
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, f"a circle: {' -> '.join([*path[path.index(module) :], module])}"
        if module in done:
            return
        for other in sorted(graph[module]):
            # A module's own package runs before it and need not be its friend.
            if not module.startswith(f"{other}."):
                visit(other, (*path, module))
        done.add(module)

    for module in sorted(graph):
        visit(module, ())


def test_no_file_names_a_use_case() -> None:
    """Words that are also methods of the field (imputation, clustering) count where they stand in quotes or in a path."""
    names = sorted(path.name for path in (PRODUCT / "usecases").iterdir() if (path / "__init__.py").exists())
    named = re.compile(
        rf"""["'`/.]({"|".join(names)})(?=["'`/._])|\b({"|".join(n.upper() for n in names)})\b"""
    )
    found = {}
    for path in sorted(PRODUCT.rglob("*")):
        inside = path.relative_to(PRODUCT).parts
        if path.suffix not in (".py", ".j2", ".js", ".css") or inside[0] in ("usecases", "lab"):
            continue
        lines = sum(bool(named.search(line)) for line in path.read_text().splitlines())
        if lines:
            found[str(path.relative_to(ROOT))] = lines
    assert not found, "a file outside a use case's folder names it: move what it says into the declaration"
