"""Words of demand for people: alarms, terms, reasons."""

from __future__ import annotations

from collections.abc import Mapping

#: What an alarm means for whom, and the first thing to do, by metric.
ALARMS: Mapping[str, tuple[str, str]] = {
    "series": (
        "The order system has no forecast for the series that are missing: stores would order nothing of "
        "them, or by hand.",
        "If active series lack a forecast, run `millrace score demand` again: each must get one, if only a "
        "fallback. If series are gone, look for a lost delivery of products, stores or sales first "
        "(freshness on the control room page).",
    ),
    "volume": (
        "Planners would order far more or far less than yesterday for the same days, which new sales of one "
        "day can hardly justify.",
        "Look at *What changed since yesterday* on the demand page: one region or one promotion points to "
        "its delivery; a change everywhere to the last day's sales or to a new model version. If nothing "
        "explains it, let yesterday's forecasts serve again: `millrace rollback demand --published --why ...`.",
    ),
    "volume_sales": (
        "Planners see a fortnight that differs from the last weeks' sales: right before a holiday or a large "
        "promotion, wrong after a lost delivery.",
        "Check the calendar and promotions of the days that are named, then whether sales of the last days "
        "are complete (freshness on the control room page).",
    ),
    "fallbacks": (
        "More series than usual have no model behind their forecast: their orders rest on a simple rule.",
        "Group `predictions/demand_forecasts` of the day by `reason`: one reason points to what changed, for "
        "instance a lost delivery (series too short) or a failing model.",
    ),
    "mape": (
        "Planners order with an error larger than they were promised for these products: expect more "
        "overstock and stock-outs in them, and keep more safety stock until it is fixed.",
        "Open the worst series on the demand page: if they share a promotion, a store or a day, fix that "
        "input; otherwise run `millrace train demand`, so that the models compete again.",
    ),
    "bias": (
        "Forecasts lean one way: orders made from them fill the shelves and the waste bins if they are too "
        "high, and empty the shelves if too low.",
        "See on the demand page which segment and stores lean; compare the promotions and prices they were "
        "forecast with to those that ran, then run `millrace train demand`.",
    ),
    "coverage_80": (
        "The prediction intervals are too narrow or too wide: safety stocks computed from them are too small "
        "or too large.",
        "Run `millrace train demand`, which calibrates the intervals on the newest origins; if it happens "
        "again, look for a level that differs on the coverage plot.",
    ),
}

GLOSSARY: tuple[tuple[str, str], ...] = (
    ("As of, J", "The day on which the forecast was made, before its first sale; J+1 is the day after."),
    ("Forecast for orders", "Best model of each series; totals are sums of the series (bottom-up)."),
    (
        "Forecast for plans",
        "National forecast, split over regions, stores and products by their share of the forecasts "
        "(top-down).",
    ),
    ("Series", "A product in a store."),
    (
        "Segment",
        "Kind of series: new (short history), promo (sells much in promotion), seasonal (strong week or "
        "year), stable.",
    ),
    ("MAPE", "Mean absolute percentage error of days with sales; each day weighs the same."),
    ("WAPE", "Sum of absolute errors over sum of sales; each unit weighs the same."),
    ("RMSSE", "Root mean squared error over that of taking the day before; below 1 is better than it."),
    ("Bias", "Sum of errors over sum of sales; above zero, too much was forecast."),
    ("80 % interval", "Holds the sales of 80 of 100 days, if its coverage is right."),
    (
        "Out of stock",
        "A day on which less was sold than wanted: the series is not judged by it, and in totals it counts "
        "as at least what was sold.",
    ),
    ("Champion", "Model that serves a group of series, by the weekly backtest and by its cost."),
    ("Reference model", "Model that the use case was specified with; it always competes."),
    ("Fallback", "Simple rule for series that leave nothing to learn: never sold, constant, too short."),
    (
        "Certificate",
        "What was checked of the totals, apart from their computation; a day without it is not published.",
    ),
)

#: Levels of the hierarchy.
LEVELS = {
    "national": "nation",
    "region": "region",
    "store": "store",
    "sku": "product",
    "sku_store": "product by store",
}

#: Why a series is out of scope.
SCOPE = {
    "store_closed": "The store's last day of trade is over.",
    "delisted": "The product's last day on sale is over.",
    "not_sold": "No sale and no stock-out for so long that the series is taken as gone.",
}
