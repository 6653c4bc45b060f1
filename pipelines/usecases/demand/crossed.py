"""Forecasts of categories and products by region: groups that lie across the tree of stores.

The forecasts that orders are made from stand. Their sums are one view. The other is a second opinion: it takes in
what the categories' own sales say, and moves units between products within each region and day.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow.dataset as pa_dataset
from numpy.typing import NDArray

from models.forecasting.accuracy import sum_rows
from models.forecasting.aggregate import aggregate
from models.forecasting.panel import Panel
from models.forecasting.reconcile import Certificate, Tree, reconcile
from pipelines.io.lake import on_day
from pipelines.reporting.page import Missing
from pipelines.usecases.demand.dataset import Recent
from pipelines.usecases.demand.day import DayData
from pipelines.usecases.demand.schemas import CROSSED, CROSSED_CERTIFICATES, CROSSED_LEVELS

if TYPE_CHECKING:
    from models.forecasting.reconcile.grouped import Grouping

Floats = NDArray[np.float64]

#: The level that all others are sums of.
_PARTS = "sku_region"

#: Levels with forecasts from their own sales, and the model that makes them. Single products are left out: the models
#: of their series know the promotions, and what a product sells in a region is hardly smoother.
_OWN_LEVELS = ("category", "category_region")
OWN_MODEL = "ets"


@dataclass(frozen=True)
class Crossed:
    """Both views by level, each of shape (nodes, days), and their certificates."""

    grouping: Grouping
    operational: Mapping[str, Floats]
    reconciled: Mapping[str, Floats]
    certificates: Mapping[str, Certificate]


def cross(
    panel: Panel, profile: pd.DataFrame, served: Floats, max_series: int, forecast: Callable[[Panel], Floats]
) -> Crossed:
    """Forecast the crossed groups.

    ``profile`` has store, region, product and category of each of the n series, ``served`` the forecasts that
    are ordered by, from tomorrow on, shape (n, days): nation and regions keep their sums. ``forecast`` makes
    those of groups from their own sales, shape (groups, days). With more nodes than ``max_series`` both views
    are plain sums.
    """
    # Two seconds of imports, which pages do not need.
    from models.forecasting.reconcile.grouped import Grouping, reconcile_grouped

    groups = profile.groupby(list(CROSSED_LEVELS[_PARTS]), sort=True)
    parts = groups["category"].first().reset_index()
    grouping = Grouping.from_frame(parts, CROSSED_LEVELS)
    sums = reconcile_grouped(
        grouping, {_PARTS: sum_rows(served, np.asarray(groups.ngroup(), dtype=np.intp))}, method="bottom_up"
    )

    def crossed(reconciled: Mapping[str, Floats], certificate: Certificate) -> Crossed:
        certificates = {"operational": sums.certificate, "reconciled": certificate}
        return Crossed(grouping, sums.values, reconciled, certificates)

    def plain(why: str) -> Crossed:
        return crossed(
            sums.values, replace(sums.certificate, words=f"Plain sums: {why} {sums.certificate.words}")
        )

    if len(grouping) > max_series:
        return plain(f"{len(grouping):,} series are more than {max_series:,} (crossed.max_series).")
    own = {level: forecast(_groups(panel, profile, level)) for level in _OWN_LEVELS}
    mix = reconcile_grouped(grouping, {**sums.values, **own}, method="wls_struct")
    if not mix.certificate.ok:
        return plain(f"the reconciliation cannot be trusted. {mix.certificate.words}")
    level = reconcile(
        Tree.from_frame(parts, {"region": CROSSED_LEVELS["region"], _PARTS: CROSSED_LEVELS[_PARTS]}),
        {"region": sums.values["region"], _PARTS: mix.values[_PARTS]},
        method="top_down",
        anchor="region",
        shares=sums.values[_PARTS].mean(axis=1),
    )
    found = reconcile_grouped(grouping, {_PARTS: level.values[_PARTS]}, method="bottom_up")
    certificate = replace(
        found.certificate,
        method=mix.certificate.method,
        residual=mix.certificate.residual,
        residual_relative=mix.certificate.residual_relative,
        split_by_shares=level.certificate.split_by_shares,
        split_evenly=level.certificate.split_evenly,
        ok=level.certificate.ok and found.certificate.ok,
        words=f"Mix of each region: {mix.certificate.words} Level of each region, as served: "
        f"{level.certificate.words} Sums: {found.certificate.words}",
    )
    return crossed(found.values, certificate)


def _groups(panel: Panel, profile: pd.DataFrame, level: str) -> Panel:
    """Sales of a level's nodes, in the order of the grouping."""
    return aggregate(panel, profile.groupby(list(CROSSED_LEVELS[level]), sort=True).ngroup().to_numpy())


# ----------------------------------------------------------------------------------------------- page

_FORTNIGHT = 14

#: Most categories that the page shows, largest first.
_SHOWN = 30


@dataclass(frozen=True)
class Fortnight:
    """The next days by category and region beside the last fortnight."""

    #: Days summed up; categories that there are.
    days: int
    categories: int
    #: Columns: ``all``, then the regions, largest first.
    regions: list[str]
    #: By category, ``all`` first, then the largest: a cell for each region, None where it sells none of the
    #: category. ``change`` is NaN if too little is known of the last fortnight.
    rows: dict[str, list[dict[str, Any] | None]]
    #: Rows of ``predictions/demand_crossed_certificates``.
    certificates: list[dict[str, Any]]


def fortnight(data: DayData) -> Fortnight | Missing:
    """Units by category and region in both views, and the change of what is ordered against the last fortnight."""
    field = pa_dataset.field
    where = on_day(data.as_of) & (field("sku_id") == "all") & (field("horizon") <= _FORTNIGHT)
    rows: pd.DataFrame = data.lake.read(CROSSED, where=where, missing_ok=True).to_pandas()
    if rows.empty or data.recent is None:
        return Missing(
            f"There are no forecasts by category and region of {data.as_of}.",
            f"millrace score demand --as-of {data.as_of}",
        )
    days = rows["ds"].nunique()
    cells = rows.groupby(["category", "region"])[["operational", "reconciled"]].sum()
    ordered = cells["operational"]
    usual = _last_fortnight(data.recent).reindex(cells.index) * (days / _FORTNIGHT)
    cells["change"] = ordered / usual.where(usual > 0) - 1
    order = {
        name: ["all", *ordered.drop("all", level=name).groupby(name).sum().sort_values(ascending=False).index]
        for name in ("category", "region")
    }
    found: dict[Any, Any] = cells.to_dict("index")
    return Fortnight(
        days=days,
        categories=len(order["category"]) - 1,
        regions=order["region"],
        rows={
            category: [found.get((category, region)) for region in order["region"]]
            for category in order["category"][: _SHOWN + 1]
        },
        certificates=data.lake.read(
            CROSSED_CERTIFICATES, where=on_day(data.as_of), missing_ok=True
        ).to_pylist(),
    )


def _last_fortnight(recent: Recent) -> pd.Series[float]:
    """Units sold by category and region, ``all`` of either included.

    A day that was not reported counts as the same weekday of the other week; unknown if that was not either.
    """
    from pipelines.usecases.demand.outlook import node_sales  # brings plots, which scoring does not need

    last, names = recent.last(_FORTNIGHT), ["category", "region"]
    found = []
    for summed in ([], ["category"], ["region"], names):
        groups = last.profile.assign(**dict.fromkeys(summed, "all")).groupby(names)
        sold = node_sales(last, np.asarray(groups.ngroup(), dtype=np.intp))
        sold = np.where(np.isnan(sold), np.roll(sold, 7, axis=1), sold)
        found.append(pd.Series(sold.sum(axis=1), index=groups.size().index))
    return pd.concat(found)
