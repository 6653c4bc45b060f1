"""What is said of past forecasts and of today's, and when somebody is called."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset
import pytest

from pipelines.io.lake import on_day
from pipelines.monitoring.alarms import Alarm
from pipelines.monitoring.schemas import MONITORING
from pipelines.monitoring.stored import read_findings
from pipelines.settings import Settings
from pipelines.steps import monitor
from pipelines.usecases.demand import USECASE
from pipelines.usecases.demand.schemas import AGGREGATES, FORECASTS

if TYPE_CHECKING:
    from tests.usecases.demand.conftest import Chain

Make = Callable[..., "Chain"]

#: Limits that the coverage and bias of the fixture keep, so that a test sees its own alarm only.
CALM = {"monitoring.max_coverage_80": 1.0, "monitoring.max_bias": 0.5}
TINY = {"stores": 2, "skus": 12}


def run(chain: Chain, **limits: Any) -> dict[str, Any]:
    params = USECASE.load_params(chain.settings, {**CALM, **limits})
    return monitor.run(USECASE, chain.as_of, settings=chain.settings, params=params)


def findings(chain: Chain, metric: str) -> dict[tuple[str, str], dict[str, Any]]:
    where = on_day(chain.as_of) & (pa_dataset.field("metric") == metric)
    rows = chain.lake.read(MONITORING, where=where).to_pylist()
    return {(row["subject"], row["segment"]): row for row in rows}


def read_alarms(chain: Chain, day: date) -> list[Alarm]:
    return USECASE.word_alarms(day, read_findings(chain.lake, USECASE.name, day))


def alarms(record: dict[str, Any]) -> list[str]:
    return [alarm["name"] for alarm in record["alarms"]]


def test_figures_are_those_of_the_data_and_quiet_days_are_quiet(chain: Chain) -> None:
    record = run(chain)
    assert record["alarms"] == []
    assert record["findings"]["not_enough_data"] == 0
    assert (record["model_version"], record["realised_days"]) == ("demand/3", 14)
    mape = {segment: row["value"] for (_, segment), row in findings(chain, "mape").items()}
    assert mape == pytest.approx({"stable": 0.10, "seasonal": 0.15, "new": 0.20, "promo": 0.25}, abs=1e-6)
    wape = findings(chain, "wape")
    assert wape["J+1", "promo"]["value"] == pytest.approx(0.10, abs=1e-6)
    assert wape["J+14", "new"]["value"] == pytest.approx(0.34, abs=1e-6)
    assert wape["J+7", "store"]["value"] < 0.05, "errors of the segments cancel within a store"
    assert findings(chain, "coverage_80")["J+1..J+14", "sku_store"]["value"] == pytest.approx(0.8, abs=1e-3)
    assert findings(chain, "series")["forecasts", "all"]["value"] == 120


def test_targets_concern_series_that_sell_enough(chain: Chain) -> None:
    """Three products in ten sell less than five a day; a limit that leaves none judges nothing."""
    run(chain)
    few = {segment: row["rows"] for (_, segment), row in findings(chain, "mape").items()}
    record = run(chain, **{"monitoring.min_units": 0})
    every = {segment: row["rows"] for (_, segment), row in findings(chain, "mape").items()}
    assert sum(every.values()) == 120 * 14 - 30 - 2
    assert sum(few.values()) == 108 * 14 - 27 - 2
    assert record["alarms"] == []
    record = run(chain, **{"monitoring.min_units": 1e6})
    assert record["findings"]["not_enough_data"] == 4


@pytest.mark.parametrize(("error", "told"), [(0.31, True), (0.29, False)])
def test_an_error_beyond_its_target_is_told(make_chain: Make, error: float, told: bool) -> None:
    chain = make_chain(**TINY, errors={"stable": 0.01, "seasonal": 0.01, "new": 0.01, "promo": error})
    found = [alarm for alarm in run(chain)["alarms"] if alarm["name"] == "mape"]
    assert [alarm["severity"] for alarm in found] == ["warning"] * told
    for alarm in found:
        assert alarm["value"] == pytest.approx(error, abs=1e-6)
        assert (alarm["threshold"], alarm["segment"]) == (0.30, "segment=promo")
        assert "promo series that sell at least 5 a day" in alarm["finding"]
        assert f"{100 * error:.1f} %" in alarm["finding"]
        assert "Planners" in alarm["meaning"]
        assert alarm["first_step"]


def test_an_error_above_its_target_within_noise_is_no_alarm(make_chain: Make) -> None:
    chain = make_chain(**TINY, noise=0.3)
    run(chain)
    value = findings(chain, "mape")["J+7", "stable"]["value"]
    run(chain, **{"targets.stable": value * 0.999})
    row = findings(chain, "mape")["J+7", "stable"]
    assert row["state"] == "ok"
    assert "above it but within noise" in row["message"]


def test_bias_and_coverage_beyond_their_limits_name_the_worst(chain: Chain) -> None:
    record = run(chain, **{"monitoring.max_bias": 0.2, "monitoring.max_coverage_80": 0.92})
    told = {alarm["name"]: alarm for alarm in record["alarms"]}
    assert set(told) == {"bias", "coverage_80"}
    assert "promo series were 26.2 % below what was sold" in told["bias"]["finding"]
    assert "also new 21 %" in told["bias"]["finding"]
    assert told["bias"]["segment"] == "segment=promo"
    assert "level region" in told["coverage_80"]["finding"]
    run(chain)


@pytest.mark.parametrize("origins", [1, 9])
def test_few_days_are_said_and_alarm_nobody(make_chain: Make, origins: int) -> None:
    """With eight past mornings only one day has a forecast of J+7."""
    chain = make_chain(**TINY, origins=origins)
    record = run(chain, **{"targets.stable": 0.001, "monitoring.max_bias": 10.0})
    assert "mape" not in alarms(record)
    assert record["findings"]["not_enough_data"] >= 1
    rows = findings(chain, "mape").values()
    assert all("not enough days yet" in row["message"] for row in rows)
    assert all(row["state"] == "not_enough_data" and row["value"] is None for row in rows)


def test_a_total_that_jumps_is_told_at_once(make_chain: Make) -> None:
    chain = make_chain(**TINY, origins=3)
    rows = chain.lake.read(AGGREGATES)
    today = pc.equal(rows["as_of"], chain.as_of)
    doubled = pc.if_else(today, pc.multiply(rows["operational"], 2.0), rows["operational"])
    chain.lake.overwrite(
        AGGREGATES, rows.set_column(rows.column_names.index("operational"), "operational", doubled)
    )
    told = {alarm["name"]: alarm for alarm in run(chain)["alarms"]}
    assert set(told) == {"volume", "volume_sales"}
    assert told["volume"]["severity"] == "critical"
    assert told["volume"]["value"] == pytest.approx(1.0, abs=0.05)
    assert "forecasts of 2025-06-15 for the same days" in told["volume"]["finding"]
    assert "sales of the same weekdays" in told["volume_sales"]["finding"]


def test_series_without_a_forecast_are_critical(make_chain: Make) -> None:
    chain = make_chain(**TINY, origins=2)
    rows = chain.lake.read(FORECASTS)
    lost = pc.and_(pc.equal(rows["as_of"], chain.as_of), pc.equal(rows["sku_id"], "K0002"))
    chain.lake.overwrite(FORECASTS, rows.filter(pc.invert(lost)))
    [alarm] = run(chain)["alarms"]
    assert (alarm["name"], alarm["severity"]) == ("series", "critical")
    assert "22 series forecast of 24 active ones, 24 the last time" in alarm["finding"]


def test_a_day_without_forecasts_is_an_alarm_and_not_an_error(tmp_path: Path) -> None:
    record = monitor.run(USECASE, date(2025, 6, 16), settings=Settings(var=tmp_path))
    assert alarms(record) == ["series"]
    assert record["model_version"] is None
    assert record["findings"]["not_enough_data"] == 4


def test_fallbacks_that_multiply_are_told(make_chain: Make) -> None:
    chain = make_chain(**TINY, origins=2)
    rows = chain.lake.read(FORECASTS)
    failed = pc.and_(pc.equal(rows["as_of"], chain.as_of), pc.equal(rows["segment"], "new"))
    models = pc.if_else(failed, "fallback_zero", rows["model"])
    chain.lake.overwrite(FORECASTS, rows.set_column(rows.column_names.index("model"), "model", models))
    [alarm] = run(chain)["alarms"]
    assert alarm["name"] == "fallbacks"
    assert alarm["value"] == pytest.approx(4 / 12)
    assert "8.3 % the last time" in alarm["finding"]


def test_alarms_can_be_told_again_and_a_repeated_run_replaces_its_day(chain: Chain) -> None:
    record = run(chain, **{"monitoring.max_bias": 0.2})
    assert [alarm.as_dict() for alarm in read_alarms(chain, chain.as_of)] == record["alarms"]
    count = chain.lake.read(MONITORING).num_rows
    assert count == sum(record["findings"].values())
    assert run(chain, **{"monitoring.max_bias": 0.2}) == record
    assert chain.lake.read(MONITORING).num_rows == count
    assert read_alarms(chain, chain.as_of - timedelta(1)) == []
    run(chain)
