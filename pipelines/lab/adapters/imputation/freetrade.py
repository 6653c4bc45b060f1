"""Adapter of Amelia II's panel `freetrade` to the raw layouts of imputation."""

from pipelines.lab.adapters.imputation._panels import panel, sensor

SENSORS = {
    "tariff": sensor("tariff", "average tariff", low=0.0),
    "polity": sensor("polity", "democracy score, -10 to 10", kind="ordinal"),
    "pop": sensor("pop", "population", "log"),
    "gdp.pc": sensor("gdp_pc", "gross domestic product per head", "log"),
    "intresmi": sensor("intresmi", "international reserves"),
    "signed": sensor("signed", "whether a fund agreement was signed", kind="ordinal"),
    "fiveop": sensor("fiveop", "financial openness"),
    "usheg": sensor("usheg", "measure of US hegemony"),
}

ADAPTER = panel("freetrade", SENSORS, ignored=("africa",))
