"""Tables that Python writes (features are declared in dbt)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from features.schemas import (
    AS_OF,
    MODEL_VERSION,
    Column,
    Reference,
    Table,
    Total,
    day,
    flag,
    integer,
    number,
    text,
)

SEGMENTS = ("stable", "seasonal", "new", "promo")

#: Reference model of each segment; it competes in all cells of its segment.
MISSION_MODELS = {"stable": "sarima", "seasonal": "prophet", "new": "similar_xgboost", "promo": "xgboost"}

LEVELS = ("national", "region", "store", "sku_store")

#: Levels above the series, each of whose nodes has a base forecast of its own for the strategic view.
UPPER_LEVELS = ("national", "region", "store")

#: Levels with rows in ``predictions/demand_aggregates``; ``sku`` is the chain's total of a product, which
#: lies across the tree and is summed from the leaves.
AGGREGATE_LEVELS = (*UPPER_LEVELS, "sku")

#: Levels with intervals: the hierarchy, and products over all stores.
INTERVAL_LEVELS = (*LEVELS, "sku")

#: Base forecasts of a level that are just the sums of the series' forecasts.
SUMMED = "bottom_up"

#: Levels of the groups that lie across the tree of stores, and the columns that name their nodes; the last is what
#: all others are sums of.
CROSSED_LEVELS: Mapping[str, tuple[str, ...]] = {
    "national": (),
    "region": ("region",),
    "category": ("category",),
    "category_region": ("category", "region"),
    "sku": ("sku_id",),
    "sku_region": ("sku_id", "region"),
}

#: Nominal coverage of the published intervals, in percent.
INTERVALS = (80, 95)

#: Days ahead at which errors are kept.
HORIZONS = (1, 7, 14)

#: Horizon at which users were promised an error.
TARGET_HORIZON = 7

#: Days with sales below which nothing is judged: a single odd day would decide.
MIN_DAYS = 3


def horizons_within(days: int) -> list[int]:
    """Days ahead at which errors are kept, of a forecast of so many days."""
    return [horizon for horizon in HORIZONS if horizon <= days]


STORE = text("store_id", "Store.")
SKU = text("sku_id", "Product.")
DS = day("ds", "Day that is forecast.")
HORIZON = integer("horizon", "Days after `as_of`: J+1 is 1.", unit="days", minimum=1)
SEGMENT = text("segment", "Kind of series, from `features/demand_profile`.", allowed=SEGMENTS)

_LEVEL = text("level", "Level of the hierarchy.", allowed=INTERVAL_LEVELS)
_NODE = text("node", "Node of the level: `all`, a region, a store, a product.")


def _units(name: str, words: str) -> Column:
    return number(name, words, unit="units", minimum=0)


def _count(name: str, words: str) -> Column:
    return integer(name, words, minimum=0)


def _share(name: str, words: str) -> Column:
    return number(name, words, minimum=0, maximum=1)


def _nullable(name: str, words: str) -> Column:
    """Figure that may be undefined."""
    return number(name, words, nullable=True)


_QUANTITIES = (
    _units("operational", "Forecast for orders: best model of each series, summed bottom-up."),
    _units("strategic", "Forecast for plans: national forecast, split top-down by forecast proportions."),
    *(
        _units(f"{side}_{nominal}", f"{end} end of the {nominal} % prediction interval of `operational`.")
        for nominal in INTERVALS
        for side, end in (("lower", "Lower"), ("upper", "Upper"))
    ),
)

#: What is published of each node and day.
QUANTITIES = tuple(column.name for column in _QUANTITIES)

#: What is compared with sales later.
COMPARED = tuple(name for name in QUANTITIES if name != "strategic")

FORECASTS = Table(
    name="predictions/demand_forecasts",
    description=(
        "Forecasts by product and store; every active series has all days. "
        "One row per `as_of`, store, product and day."
    ),
    columns=(
        AS_OF,
        STORE,
        SKU,
        DS,
        HORIZON,
        *_QUANTITIES,
        SEGMENT,
        text("model", "Model that made the forecast, or the fallback's name."),
        text("reason", "Why this model: champion of its cell, fallback and why, or failure."),
        MODEL_VERSION,
    ),
    key=("as_of", "store_id", "sku_id", "ds"),
    partition_by=("as_of",),
    references=(Reference(("as_of", "store_id", "sku_id"), "features/demand_profile"),),
    totals=tuple(
        Total(name, "predictions/demand_aggregates", "level = 'national'")
        for name in ("operational", "strategic")
    ),
    steady=("operational", "segment"),
)

AGGREGATES = Table(
    name="predictions/demand_aggregates",
    description=(
        "The same forecasts by store, region, nation and by product over all stores; sums of the rows of "
        "`predictions/demand_forecasts`. One row per `as_of`, level, node and day."
    ),
    columns=(AS_OF, _LEVEL, _NODE, DS, HORIZON, *_QUANTITIES, MODEL_VERSION),
    key=("as_of", "level", "node", "ds"),
    partition_by=("as_of",),
)

WEEKLY = Table(
    name="predictions/demand_weekly",
    description=(
        "Forecasts summed over J+1..J+7 and J+8..J+14, for all levels. "
        "One row per `as_of`, level, node and week."
    ),
    columns=(
        AS_OF,
        _LEVEL,
        text("node", "Node of the level; `<store>/<product>` for series."),
        integer("week", "1 for J+1..J+7, 2 for J+8..J+14.", minimum=1),
        day("starts_on", "First day of the week."),
        day("ends_on", "Last day of the week."),
        *_QUANTITIES[:2],
    ),
    key=("as_of", "level", "node", "week"),
    partition_by=("as_of",),
)

CERTIFICATES = Table(
    name="predictions/demand_certificates",
    description=(
        "What was checked of each reconciliation, computed apart from it. A day whose certificate is not "
        "ok is not published. One row per `as_of` and forecast."
    ),
    columns=(
        AS_OF,
        text("forecast", "Which one.", allowed=("operational", "strategic")),
        text("method", "Method of reconciliation."),
        number("max_incoherence", "Largest gap between a node and its children.", unit="units"),
        number("relative_incoherence", "The same as a share of the node's forecast."),
        _nullable(
            "optimality_residual",
            "Residual of the optimality conditions; null for methods that optimise nothing.",
        ),
        _count("negatives", "Forecasts below zero."),
        _count("zero_parents", "Parent days whose children's forecasts sum to zero, split by recent shares."),
        flag("ok", "Whether all limits are kept."),
        text("words", "The verdict in words."),
    ),
    key=("as_of", "forecast"),
    partition_by=("as_of",),
)

CROSSED = Table(
    name="predictions/demand_crossed",
    description=(
        "Forecasts of categories and products over all stores and by region, with a second opinion. "
        "One row per `as_of`, level, node and day; a node's other names are `all`."
    ),
    columns=(
        AS_OF,
        text("level", "What the node is named by.", allowed=tuple(CROSSED_LEVELS)),
        text("region", "Region, or `all`."),
        text("category", "Category, or `all`."),
        text("sku_id", "Product, or `all`."),
        DS,
        HORIZON,
        _units("operational", "Sum of the rows of `predictions/demand_forecasts`: what is ordered."),
        _units(
            "reconciled",
            "The same reconciled with forecasts from the categories' own sales; for nation and regions equal to it.",
        ),
        MODEL_VERSION,
    ),
    key=("as_of", "level", "region", "category", "sku_id", "ds"),
    partition_by=("as_of",),
)

CROSSED_CERTIFICATES = Table(
    name="predictions/demand_crossed_certificates",
    description=(
        "What was checked of `predictions/demand_crossed`, computed apart from it. It does not block the "
        "publication, which holds none of these rows. One row per `as_of` and forecast."
    ),
    columns=tuple(
        replace(column, allowed=("operational", "reconciled")) if column.name == "forecast" else column
        for column in CERTIFICATES.columns
    ),
    key=CERTIFICATES.key,
    partition_by=CERTIFICATES.partition_by,
)

_ERRORS = tuple(
    _nullable(f"{metric}_j{horizon}", f"{words} at J+{horizon}; null if undefined.")
    for metric, words in (("mape", "MAPE"), ("wape", "WAPE"), ("rmsse", "RMSSE"))
    for horizon in HORIZONS
)

SERIES = Table(
    name="predictions/demand_series",
    description=(
        "Which model serves each series, and how it did in the backtest of the training run: the one table "
        "that tracks all series. One row per training `as_of`, store and product."
    ),
    columns=(
        AS_OF,
        STORE,
        SKU,
        SEGMENT,
        text("pattern", "Smooth, intermittent, erratic or lumpy (Syntetos and Boylan)."),
        text("cell", "Group within which models compete: segment and regularity."),
        text("model", "Model that serves the series, or the fallback's name."),
        text("reason", "Why."),
        text("sarima_order", "Cached SARIMA order of its cluster; null if none.", nullable=True),
        number("mean_quantity", "Mean units a day over the history.", unit="units/day"),
        *_ERRORS,
        _nullable("bias", "Sum of errors over sum of sales; null if none."),
        _count("points", "Days judged."),
        MODEL_VERSION,
    ),
    key=("as_of", "store_id", "sku_id"),
    partition_by=("as_of",),
)

BACKTEST = Table(
    name="predictions/demand_backtest",
    description=(
        "The competition: every model's error in the rolling-origin backtest, on the same series and days. "
        "One row per training `as_of`, cell, model and horizon (0: all of J+1..J+14)."
    ),
    columns=(
        AS_OF,
        text("cell", "Segment and regularity, or `level:<name>` for aggregates."),
        text("model", "Candidate."),
        _count("horizon", "Days after the origin; 0 for all together."),
        _nullable("mape", "Mean absolute percentage error of days with sales."),
        _nullable("wape", "Sum of absolute errors over sum of sales."),
        _nullable("rmsse", "Root mean squared scaled error, mean of the series."),
        _nullable("bias", "Sum of errors over sum of sales."),
        _nullable("deviance", "Mean Poisson deviance of a day, by which models compete; null without sales."),
        _count("series", "Series judged."),
        _count("points", "Days judged."),
        number("seconds_per_series", "Cost of a forecast.", unit="s"),
        flag("is_mission_model", "Whether it is the segment's reference model."),
        flag("is_champion", "Whether it serves the cell."),
    ),
    key=("as_of", "cell", "model", "horizon"),
    partition_by=("as_of",),
)

VALIDATION = Table(
    name="predictions/demand_validation",
    description=(
        "Errors on the origins kept for judging, summed by product, from which the gate draws its "
        "bootstrap. One row per training `as_of`, candidate, cell and product."
    ),
    columns=(
        AS_OF,
        text("candidate", "`challenger`, `champion` or `seasonal_naive`."),
        text("cell", "Segment and regularity of the series."),
        SKU,
        number("absolute_error", "Sum of absolute errors.", unit="units"),
        number("error", "Sum of errors, forecast minus sales.", unit="units"),
        number("quantity", "Sum of sales.", unit="units"),
        _count("points", "Days judged."),
    ),
    key=("as_of", "candidate", "cell", "sku_id"),
    partition_by=("as_of",),
)

COVERAGE = Table(
    name="predictions/demand_coverage",
    description=(
        "Measured coverage of the prediction intervals on the origins kept for judging. "
        "One row per training `as_of`, level, nominal coverage and horizon (0: all)."
    ),
    columns=(
        AS_OF,
        _LEVEL,
        integer("nominal", "Nominal coverage.", unit="%"),
        _count("horizon", "Days after the origin; 0 for all together."),
        number("coverage", "Share of days inside.", minimum=0, maximum=1),
        _nullable("relative_width", "Mean width over mean sales."),
        _count("points", "Days judged."),
    ),
    key=("as_of", "level", "nominal", "horizon"),
    partition_by=("as_of",),
)

SARIMA_ORDERS = Table(
    name="predictions/demand_sarima_orders",
    description=(
        "Cache of SARIMA orders: searched weekly on representatives of a cluster of similar series, refitted "
        "nightly with the order fixed. One row per training `as_of` and cluster."
    ),
    columns=(
        AS_OF,
        text("cluster", "Cluster of similar series."),
        text("sarima_order", "Order as `(p,d,q)(P,D,Q)7`."),
        _nullable("aicc", "Mean AICc of the representatives; null if none."),
        _nullable("error", "Mean absolute error 14 days ahead over the mean demand; null if none."),
        _count("series", "Representatives searched."),
    ),
    key=("as_of", "cluster"),
    partition_by=("as_of",),
)

ORDERS = Table(
    name="predictions/demand_orders",
    description=(
        "What to order on the morning of `as_of`: every product of a store whose category orders on that day and whose"
        " stock is known, those of which enough is there with 0 packs. One row per `as_of`, store and product."
    ),
    columns=(
        AS_OF,
        STORE,
        SKU,
        text("category", "Category whose rule in the seed `demand_order_rules` applies."),
        day("order_day", "Day of the order: `as_of`."),
        day("arrives_on", "Day of its delivery, before the doors open."),
        day("covers_until", "Last day before the delivery of the next order, or of expiry."),
        _count("packs", "Packs to order."),
        _units("units", "Units to order: packs times units in a pack."),
        number("pack_units", "Units in a pack.", unit="units"),
        _units("on_hand", "Stock this morning: newest count, and what is known since."),
        _units("on_order", "Units ordered before that have not arrived."),
        _units("expiring", "Units of both that will expire before they are sold, until `covers_until`."),
        _units("expected", "Demand forecast for today through `covers_until`."),
        _units("target", "Stock that is ordered up to: where another unit costs as much as it saves."),
        _share("service", "Probability that the stock with the order lasts through `covers_until`."),
        _units("missing", "Units expected to be asked for in vain until then."),
        text("reason", "Why so many, in words."),
        MODEL_VERSION,
    ),
    key=("as_of", "store_id", "sku_id"),
    partition_by=("as_of",),
    references=(Reference(("as_of", "store_id", "sku_id"), "features/demand_profile"),),
)

TABLES = (
    FORECASTS, AGGREGATES, WEEKLY, CERTIFICATES, CROSSED, CROSSED_CERTIFICATES, SERIES, BACKTEST, VALIDATION,
    COVERAGE, SARIMA_ORDERS, ORDERS,
)  # fmt: skip

#: Levels of the hierarchy.
LEVEL_WORDS = {
    "national": "nation",
    "region": "region",
    "store": "store",
    "sku": "product",
    "sku_store": "product by store",
}

#: Why a series is out of scope.
SCOPE_WORDS = {
    "store_closed": "The store's last day of trade is over.",
    "delisted": "The product's last day on sale is over.",
    "not_sold": "No sale and no stock-out for so long that the series is taken as gone.",
}
