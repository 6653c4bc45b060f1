"""Model cards: Markdown from the template ``card.md.j2`` in a use case's folder."""

from __future__ import annotations

import jinja2


def model_card(usecase: str, **values: object) -> str:
    """Fill a use case's card; ``shown`` formats a number there, for instance ``{{ rate | shown(".1%") }}``."""
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("pipelines", "usecases"),
        autoescape=False,  # noqa: S701 - Markdown from our own numbers, not a page
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters["shown"] = format
    return templates.get_template(f"{usecase}/card.md.j2").render(values)
