"""The page of imputation shows every part of the use case, and says what is missing when there is nothing."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

from pipelines.settings import Settings
from pipelines.steps import report
from pipelines.usecases.imputation import USECASE
from tests.conftest import PageReader
from tests.usecases.imputation.conftest import PARAMS, Factory

FIGURES = {"missing-map", "overimputation", "coverage", "density", "dispersion", "information", "sensitivity"}


def read(path: str) -> PageReader:
    page = PageReader()
    page.feed(Path(path).read_text())
    return page


def test_every_section_is_there(factory: Factory) -> None:
    record = factory.records["report"]
    assert record["missing"] == []
    page = read(record["page"])
    assert set(page.ids) >= FIGURES
    inside = {link[1:] for link in page.links if link.startswith("#")}
    assert inside <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


def test_figures_hold_what_the_choices_replace(factory: Factory) -> None:
    """A choice gives as many traces as the figure has, and as many places as heights."""
    page = read(factory.records["report"]["page"])
    scripts = [
        (attributes, json.loads(text))
        for attributes, text in page.scripts
        if "json" in str(attributes.get("type"))
    ]
    traces = {
        a["data-target"]: len(content["data"]) for a, content in scripts if a.get("class") == "figure-data"
    }
    choices = [content for a, content in scripts if a.get("class") == "figure-choices"]
    assert {content["target"] for content in choices} == {"overimputation", "density", "sensitivity"}
    for content in choices:
        for choice in content["choices"]:
            assert len(choice["x"]) == len(choice["y"]) == traces[content["target"]]
            assert [len(x) for x in choice["x"]] == [len(y) for y in choice["y"]]


def test_the_control_room_links_the_page_and_speaks_of_no_publication(factory: Factory) -> None:
    index = Path(factory.records["report"]["index"]).read_text()
    assert 'href="imputation.html"' in index
    assert "Last publish" not in index


def test_a_day_without_anything_names_the_commands(tmp_path: Path) -> None:
    settings = Settings(var=tmp_path)
    record = report.run(USECASE, date(2025, 1, 1), settings=settings, params=PARAMS)
    assert set(record["missing"]) == {
        "headline", "lines", "missingness", "quality", "densities", "gate", "basis", "findings",
    }  # fmt: skip
    words = Path(record["page"]).read_text()
    for command in ("millrace score imputation", "millrace train imputation", "millrace monitor imputation"):
        assert f"{command} --as-of 2025-01-01" in words
