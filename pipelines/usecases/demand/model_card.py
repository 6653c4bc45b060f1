"""Model card of a demand version: what serves which series, what it was judged on, its limits."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING

import pandas as pd

from pipelines.usecases.demand.params import DemandParams
from pipelines.usecases.demand.schemas import LEVELS, SEGMENTS

if TYPE_CHECKING:
    from pipelines.usecases.demand.dataset import Dataset
    from pipelines.usecases.demand.records import Results
    from pipelines.usecases.demand.train import Origins


def model_card(
    *,
    as_of: date,
    params: DemandParams,
    origins: Origins,
    data: Dataset,
    results: Results,
    summary: Mapping[str, float],
) -> str:
    """Write the card as Markdown."""
    segments = data.profile["segment"].value_counts()
    fallbacks = data.profile["fallback"].value_counts()
    lines = [
        f"# Demand, J+1..J+{params.horizon_days}, backtest of {as_of}",
        "",
        "**Use**: daily forecasts by product and store for orders (operational) and by level for plans "
        "(strategic). **Not for**: prices, or the effect of a promotion that was never run.",
        "",
        "## Data",
        f"- {len(data.profile):,} active series; by segment: "
        + ", ".join(f"{name} {segments.get(name, 0):,}" for name in SEGMENTS)
        + f". Without a model: {', '.join(f'{n} {c:,}' for n, c in fallbacks.items()) or 'none'}.",
        f"- Global models learned from {len(origins.training)} past days, {_span(origins.training)}; models "
        f"competed and intervals were calibrated on {_span(origins.selection)}; judged on "
        f"{_span(origins.judging)}, by which nothing was chosen.",
        f"- What is known ahead (promotions, weather, events) is as it was known on each past day. Days of "
        f"stock-out count as lower bounds. Lake versions: {data.versions}.",
        "",
        "## Champions",
        "",
        "| cell | serves | why |",
        "|---|---|---|",
        *(
            f"| {cell} | {' + '.join(c.models)} | {c.words} |"
            for cell, c in sorted(results.champions.items())
        ),
        *(f"| level {level} | {c.name} | {c.words} |" for level, c in results.level_champions.items()),
        "",
        "## Competition, all horizons",
        "",
        *_table(results.table),
        "",
        "## Judged",
        "",
        "| segment | MAPE J+1 | MAPE J+7 | MAPE J+14 | WAPE | bias |",
        "|---|---|---|---|---|---|",
        *(_judged(name, summary) for name in (*SEGMENTS, "all") if f"{name}.wape" in summary),
        "",
        "| level | coverage of 80 % | coverage of 95 % |",
        "|---|---|---|",
        *(
            f"| {level} | {summary[f'{level}.coverage_80']:.1%} | {summary[f'{level}.coverage_95']:.1%} |"
            for level in (*LEVELS, "sku")
            if f"{level}.coverage_80" in summary
        ),
        "",
        "## Limits",
        "- The percentage error of a product that sells one or two a day is mostly chance; look at WAPE and "
        "at sums over a week.",
        "- Few origins calibrate the intervals of the nation and the regions: their coverage is known roughly.",
        "- A promotion announced after the forecast is not in it.",
    ]
    return "\n".join(lines) + "\n"


def _span(days: list[date]) -> str:
    return f"{days[0]} to {days[-1]}" if days else "none"


def _table(table: pd.DataFrame) -> list[str]:
    rows = ["| cell | model | MAPE | WAPE | RMSSE | bias | ms a series |", "|---|---|---|---|---|---|---|"]
    overall = table[table["horizon"] == 0].sort_values(["cell", "wape", "model"])
    for row in overall.to_dict("records"):
        name = f"**{row['model']}**" if row["is_champion"] else row["model"]
        figures = " | ".join(f"{row[metric]:.3f}" for metric in ("mape", "wape", "rmsse", "bias"))
        rows.append(f"| {row['cell']} | {name} | {figures} | {row['seconds_per_series'] * 1000:.1f} |")
    return rows


def _judged(name: str, summary: Mapping[str, float]) -> str:
    metrics = ("mape_j1", "mape_j7", "mape_j14", "wape", "bias")
    cells = [f"{summary[f'{name}.{m}']:.1%}" if f"{name}.{m}" in summary else "" for m in metrics]
    return f"| {name} | " + " | ".join(cells) + " |"
