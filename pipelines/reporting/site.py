"""The report site: one shell around every page, readable from disk and without a network."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import plotly
import plotly.offline
from markupsafe import Markup, escape

from pipelines.discovery import every
from pipelines.reporting import words
from pipelines.reporting.page import Missing
from pipelines.usecase import UseCase

#: Files that every page links to, copied beside them.
_STATIC = ("millrace.css", "figures.js", "grid.js")


@dataclass(frozen=True)
class Page:
    """A page of the site, for the navigation and the control room."""

    #: Name below the site's root.
    file: str
    #: What it is called and whom it serves, one sentence.
    title: str
    description: str
    #: Use case whose page it is; empty for others.
    usecase: str = ""

    @classmethod
    def of(cls, usecase: UseCase[Any, Any, Any]) -> Page:
        """Page of a use case."""
        return cls(f"{usecase.name}.html", usecase.title, usecase.sentence, usecase.name)


INDEX = Page("index.html", "Control room", "What ran, what is fresh, what needs somebody.")


class Site:
    """Renders pages below the root folder of the site, for instance ``var/report``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._plotly = f"plotly-{plotly.__version__}.min.js"
        self._templates = jinja2.Environment(
            loader=jinja2.ChoiceLoader(
                [jinja2.PackageLoader("pipelines.reporting"), jinja2.PackageLoader("pipelines", "usecases")]
            ),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {
            "number": words.number,
            "percent": words.percent,
            "euros": words.euros,
            "day": words.day,
            "short_day": words.short_day,
            "moment": words.moment,
            "inline": inline,
            "script_json": script_json,
        }
        self._templates.globals |= {"count": words.count}
        self._templates.tests["missing"] = lambda section: isinstance(section, Missing)

    def render(self, file: str, template: str, context: Mapping[str, Any]) -> Path:
        """Write one page, a path below the root, to which templates get back by ``{{ base }}``; returns its path.

        The page appears at once: it is written aside and moved into place, so that a reader never sees half of it.
        """
        self._install_assets()
        # The control room is built after the pages it links to, so it may not be there yet.
        pages = (INDEX, *(Page.of(usecase) for usecase in every()))
        existing = {page.file for page in pages if (self.root / page.file).exists()} | {file, INDEX.file}
        content = self._templates.get_template(template).render(
            **context,
            page_file=file,
            base="../" * file.count("/"),
            pages=[page for page in pages if page.file in existing],
            plotly_file=self._plotly,
        )
        path = self.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(".part")
        aside.write_text(content, encoding="utf-8")
        aside.replace(path)
        return path

    def _install_assets(self) -> None:
        assets = self.root / "assets"
        assets.mkdir(parents=True, exist_ok=True)
        for name in _STATIC:
            source = files("pipelines.reporting") / "static" / name
            (assets / name).write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
        library = assets / self._plotly
        if not library.exists():  # 4.5 MB, the same for every page and run
            library.write_text(plotly.offline.get_plotlyjs(), encoding="utf-8")


def inline(text: str) -> Markup:
    """Escape a text, set what stands between backticks in code type, keep `62 %` on one line."""
    parts = str(escape(text)).replace(" %", f"{words.THIN}%").split("`")
    return Markup(  # noqa: S704 - escaped above
        "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))
    )


def script_json(value: Any) -> Markup:
    """JSON that may stand inside ``<script type="application/json">``.

    ``<``, ``>`` and ``&`` become escapes of JSON's own, so no text in the data can end the element
    or open another; NaN becomes null, which JSON has.
    """
    text = json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - escaped above


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
