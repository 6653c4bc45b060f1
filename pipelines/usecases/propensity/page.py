"""Propensity, page: which products may be offered to whom, by which rules, and how far that can be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
import pyarrow.compute as pc

from models.evaluation.recommendation import mean_average_precision
from pipelines.io.lake import Lake, on_day
from pipelines.reporting.figure import Colour, Figure, new_plot, plain
from pipelines.reporting.page import Missing
from pipelines.reporting.words import percent
from pipelines.usecase import Run
from pipelines.usecases.propensity.params import PropensityParams
from pipelines.usecases.propensity.schemas import CHANCES, LISTS, OFFERS, PRODUCTS, RULES

#: Customers named by the campaign table for each product.
_LIKELIEST = 0.05


def sections(run: Run[PropensityParams]) -> Mapping[str, object]:
    """What ``page.html.j2`` shows."""
    return {
        "offers": _offers(run),
        "judgement": _judgement(run.lake, run.as_of),
        "horizon": run.params.snapshots.horizon_days,
        "likeliest": _LIKELIEST,
    }


def _offers(run: Run[PropensityParams]) -> dict[str, Any] | Missing:
    """Offers of the day: how many customers, and by product how often it is offered and what its likeliest take."""
    rows = run.lake.read(OFFERS, where=on_day(run.as_of), missing_ok=True)
    if not rows.num_rows:
        return Missing(f"There are no offers of {run.as_of}.", run.command("score"))
    offered: dict[str, list[int]] = {}
    for place in (1, 2, 3):
        for row in rows[f"product_{place}"].drop_null().value_counts().to_pylist():
            offered.setdefault(row["values"], [0, 0, 0])[place - 1] = row["counts"]
    chances = run.lake.read(CHANCES, columns=["product", "chance"], where=on_day(run.as_of), missing_ok=True)
    products = []
    for product, places in sorted(offered.items(), key=lambda item: -sum(item[1])):
        chance = np.sort(chances.filter(pc.equal(chances["product"], product))["chance"].to_numpy())[::-1]
        top = chance[: max(1, round(len(chance) * _LIKELIEST))]
        products.append(
            {
                "product": product,
                "first": places[0],
                "offered": sum(places),
                "mean": _mean(chance),
                "top": _mean(top),
            }
        )
    return {
        "customers": rows.num_rows,
        "model_version": rows["model_version"][0].as_py(),
        "full": rows.num_rows - rows["product_3"].null_count,
        "products": products,
        "figure": _chances(products),
    }


def _judgement(lake: Lake, as_of: date) -> dict[str, Any] | Missing:
    """The newest training up to a day: products with what was found, rules by product, lists against popularity."""
    day = lake.newest_day(PRODUCTS, as_of)
    if day is None:
        return Missing("No model was judged out of time yet.", f"millrace train propensity --as-of {as_of}")
    lists = lake.read(LISTS, where=on_day(day))
    rules = lake.read(RULES, where=on_day(day)).sort_by([("product", "ascending"), ("place", "ascending")])
    ours, theirs = (
        mean_average_precision(lists[f"ap_{name}"].to_numpy().astype(np.float64))
        for name in ("challenger", "popularity")
    )
    return {
        "trained_for": day,
        "customers": lists.num_rows,
        "map3": ours,
        "map3_popularity": theirs,
        "products": sorted(
            lake.read(PRODUCTS, where=on_day(day)).to_pylist(), key=lambda row: -row["events"]
        ),
        "rules": {name: list(rows) for name, rows in groupby(rules.to_pylist(), key=itemgetter("product"))},
    }


def _chances(products: list[dict[str, Any]]) -> Figure:
    """Mean chance of everybody and of the likeliest, by product."""
    shown = sorted(products, key=lambda row: row["top"])
    names = [row["product"] for row in shown]
    plot = new_plot("Chance", "")
    for key, label, colour in (("mean", "everybody", Colour.QUIET), ("top", "likeliest 5 %", Colour.MAIN)):
        plot.add_bar(
            y=names, x=plain(np.array([row[key] for row in shown])), name=label, orientation="h",
            marker={"color": colour}, hovertemplate="%{y}: %{x:.1%}<extra>" + label + "</extra>",
        )  # fmt: skip
    plot.update_layout(barmode="group", height=120 + 34 * len(names), xaxis_tickformat=".0%")
    best = shown[-1]
    return Figure(
        "chances",
        "Who is worth approaching",
        f"Mean chance of all who do not hold a product, and of the likeliest twentieth of them. Of {best['product']}: "
        f"{percent(best['top'], 1)} against {percent(best['mean'], 1)}.",
        plot,
        wide=True,
    )


def _mean(values: Any) -> float:
    return float(values.mean()) if len(values) else float("nan")
