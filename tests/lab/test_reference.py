"""The reference page is the one that the code makes, and the code leaves nothing out."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from pipelines import errors
from pipelines.discovery import every
from pipelines.lab.reference.markdown import escape, grid
from pipelines.lab.reference.page import OTHER_VARIABLES, SINKS, VARIABLES, page
from pipelines.lab.reference.tables import delivered_layouts, lake_tables, truth_tables
from pipelines.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [path for folder in ("pipelines", "dags") for path in sorted((ROOT / folder).rglob("*.py"))]


def strings(path: Path) -> set[str]:
    return {
        node.value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_the_committed_page_is_the_one_the_code_makes() -> None:
    committed = (ROOT / "docs" / "reference.md").read_text()
    assert committed == page(), "run: python -m pipelines.lab.reference > docs/reference.md"


def test_every_table_declared_in_python_is_on_the_page() -> None:
    documented = {table.name for _, tables in lake_tables() for table in tables}
    documented |= {layout.table.name for layout in delivered_layouts()}
    documented |= {table.name for table in truth_tables()}
    declared = {
        keyword.value.value
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Table"
        for keyword in node.keywords
        if keyword.arg == "name" and isinstance(keyword.value, ast.Constant)
    }
    assert len(declared) > 15  # the search finds declarations at all
    assert declared <= documented, f"add {sorted(declared - documented)} to pipelines/lab/reference/tables.py"


def test_every_table_and_column_is_on_the_page() -> None:
    text = page()
    for _, tables in lake_tables():
        for table in tables:
            section = text.partition(f"#### {table.name}\n")[2].partition("\n#")[0]
            for column in table.columns:
                assert f"| `{column.name}` | {column.dtype} |" in section, f"{table.name}.{column.name}"


def test_layouts_of_every_use_case_are_on_the_page() -> None:
    landed = {
        table.name.split("/")[1].split("_")[0]
        for _, ts in lake_tables()
        for table in ts
        if "raw/" in table.name
    }
    assert landed == {usecase.name for usecase in every() if usecase.layouts}


def test_every_variable_that_is_read_is_on_the_page() -> None:
    known = {f"MILLRACE_{name.upper()}" for name in Settings.model_fields} | set(OTHER_VARIABLES)
    for sink, kind in SINKS.items():
        known |= {f"MILLRACE_{sink.upper()}__{name.upper()}" for name in kind.model_fields}
    named = {
        text for path in SOURCES for text in strings(path) if re.fullmatch(r"MILLRACE_[A-Z_]*[A-Z]", text)
    }
    assert set(OTHER_VARIABLES) <= named
    assert named <= known, f"not documented: {sorted(named - known)}"
    text, own = page(), {f"MILLRACE_{name.upper()}" for name in (*SINKS, *VARIABLES)}
    assert all(f"| `{name}` |" in text for name in (known - own) | set(VARIABLES.values()))


def test_the_errors_that_are_not_retried_are_those_the_page_names() -> None:
    final = {
        name
        for name in strings(ROOT / "pipelines" / "orchestration" / "defaults.py")
        if name.startswith("pipelines.errors.")
    }
    codes = sorted(getattr(errors, name.rpartition(".")[2]).exit_code for name in final)
    assert f"must bring about again ({', '.join(map(str, codes))})" in page()


def test_the_page_does_not_depend_on_the_machine_or_the_environment() -> None:
    text = page()
    assert str(ROOT) not in text
    assert "key of the tests" not in text  # MILLRACE_PSEUDONYM_KEY is set while tests run


def test_markdown_keeps_angle_brackets_and_bars() -> None:
    assert escape("<var>/x, `<home>`") == "&lt;var>/x, `<home>`"
    assert grid(("a",), [("`x|y`",)]) == "| a |\n| --- |\n| `x\\|y` |\n"
