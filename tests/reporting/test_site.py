from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import plotly
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError

from pipelines.reporting.site import Site, inline, script_json

#: What the control room shows before anything ran.
NOTHING_RAN: dict[str, Any] = {
    "as_of": None, "alarms": [], "tables": [], "late": [], "unbalanced": [], "failed": [], "use_cases": [],
    "steps": [], "quarantined": [], "links": [], "hand_overs": [], "untried": [], "broken": [],
}  # fmt: skip

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(JSON)
def test_embedded_json_reads_back_and_cannot_leave_its_element(value: Any) -> None:
    text = str(script_json(value))
    assert json.loads(text) == value
    assert not set("<>&\u2028\u2029") & set(text)


def test_embedded_json_has_no_nan() -> None:
    assert json.loads(script_json({"x": [float("nan"), float("inf"), 1.5]})) == {"x": [None, None, 1.5]}


def test_inline_escapes_before_it_marks_code() -> None:
    assert inline("run `millrace <x>` at 5 %") == "run <code>millrace &lt;x&gt;</code> at 5\u202f%"


def test_assets_are_beside_the_page_and_the_library_is_copied_once(tmp_path: Path) -> None:
    site = Site(tmp_path)
    page = site.render("index.html", "index.html.j2", NOTHING_RAN)
    library = tmp_path / "assets" / f"plotly-{plotly.__version__}.min.js"
    assert "plotly.js" in library.read_text(encoding="utf-8")[:200]
    library.write_text("kept")
    assert site.render("index.html", "index.html.j2", NOTHING_RAN) == page
    assert library.read_text() == "kept"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["assets", "index.html"]
    assert {"millrace.css", "grid.js", "figures.js"} < {p.name for p in (tmp_path / "assets").iterdir()}


def test_a_page_in_a_folder_reaches_the_assets_of_the_site(tmp_path: Path) -> None:
    page = Site(tmp_path).render("series/S1/a.html", "index.html.j2", NOTHING_RAN)
    assert page == tmp_path / "series" / "S1" / "a.html"
    text = page.read_text(encoding="utf-8")
    assert 'href="../../assets/millrace.css"' in text
    assert 'href="../../index.html"' in text
    assert (page.parent / "../../assets/millrace.css").exists()


def test_a_forgotten_variable_fails_the_build_instead_of_leaving_a_gap(tmp_path: Path) -> None:
    with pytest.raises(UndefinedError):
        Site(tmp_path).render("index.html", "index.html.j2", {})
    assert not (tmp_path / "index.html").exists()
