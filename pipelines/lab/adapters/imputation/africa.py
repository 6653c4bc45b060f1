"""Adapter of Amelia II's panel `africa` to the raw layouts of imputation."""

from pipelines.lab.adapters.imputation._panels import panel, sensor

SENSORS = {
    "gdp_pc": sensor("gdp_pc", "gross domestic product per head", "log"),
    "infl": sensor("infl", "inflation"),
    "trade": sensor("trade", "trade as a share of the product"),
    "civlib": sensor("civlib", "civil liberties, 0 to 1", low=0.0, high=1.0),
    "population": sensor("population", "population", "log"),
}

ADAPTER = panel("africa", SENSORS, ignored=("freetrade",))
