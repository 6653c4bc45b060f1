"""Demand's publication: dbt builds the items, DynamoDB takes them, a breached certificate blocks them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

import pyarrow as pa
import pytest

from features.schemas import DType, Table
from pipelines.errors import ConfigError, DataContractError, ModelGateError, SinkError
from pipelines.io.lake import Lake
from pipelines.io.promotions import Outcome, Promotion, append_promotion
from pipelines.lab.local import LocalStack, Ports
from pipelines.settings import DynamoSettings, Settings
from pipelines.sinks.dynamodb.reader import Reader
from pipelines.steps import publish
from pipelines.usecases.demand import USECASE
from pipelines.usecases.demand.schemas import AGGREGATES, CERTIFICATES, FORECASTS, INTERVALS, ORDERS

DAY = date(2026, 1, 5)
NEXT = DAY + timedelta(days=1)
DAYS = 3
PARAMS = USECASE.load_params(Settings(), {"horizon_days": DAYS})

SERIES = (("S1", "K1"), ("S1", "K2"), ("S2", "K1"))
NODES = (
    ("national", "all"),
    ("region", "north"),
    ("store", "S1"),
    ("store", "S2"),
    ("sku", "K1"),
    ("sku", "K2"),
)


def quantities(level: float, horizon: int) -> dict[str, float]:
    value = level + horizon / 7
    bounds = {
        f"{side}_{nominal}": value + sign * nominal / 100
        for nominal in INTERVALS
        for side, sign in (("lower", -1), ("upper", 1))
    }
    return {"operational": value, "strategic": 2 * value, **bounds}


def write(lake: Lake, table: Table, day: date, rows: list[dict[str, Any]]) -> None:
    filled = [{"as_of": day, **row} for row in rows]
    lake.replace_partition(table, pa.Table.from_pylist(filled, schema=table.arrow_schema), {"as_of": day})


def forecast(lake: Lake, day: date, shift: float, *, version: str = "demand/1", days: int = DAYS) -> None:
    """Forecasts of a day, coherent as far as publishing cares."""
    ahead = [(h, day + timedelta(days=h)) for h in reversed(range(1, days + 1))]
    series = [
        {"store_id": store, "sku_id": sku, "ds": ds, "horizon": h, **quantities(10 * n + shift, h)}
        | {"segment": "stable", "model": "ets", "reason": "best of its cell", "model_version": version}
        for n, (store, sku) in enumerate(SERIES, start=1)
        for h, ds in ahead
    ]
    nodes = [
        {"level": level, "node": node, "ds": ds, "horizon": h, "model_version": version}
        | quantities(100 * n + shift, h)
        for n, (level, node) in enumerate(NODES, start=1)
        for h, ds in ahead
    ]
    order = {
        "store_id": "S1", "sku_id": "K1", "category": "bakery", "order_day": day, "arrives_on": day + timedelta(days=1),
        "covers_until": day + timedelta(days=2), "packs": 3, "units": 12.0, "pack_units": 4.0, "on_hand": 5.0,
        "on_order": 0.0, "expiring": 0.0, "expected": 9.0, "target": 15.0, "service": 0.9, "missing": 0.1,
        "reason": "usual days", "model_version": version,
    }  # fmt: skip
    write(lake, ORDERS, day, [order])
    write(lake, FORECASTS, day, series)
    write(lake, AGGREGATES, day, nodes)


def certify(lake: Lake, day: date, **ok: bool) -> None:
    empty = {
        column.name: {DType.NUMBER: 0.0, DType.INTEGER: 0}.get(column.dtype, "tree")
        for column in CERTIFICATES.columns
    }
    rows = [
        empty
        | {"forecast": forecast, "ok": good, "words": "coherent" if good else "store S1 is off by 3 units"}
        for forecast, good in ok.items()
    ]
    write(lake, CERTIFICATES, day, [{k: v for k, v in row.items() if k != "as_of"} for row in rows])


def let_serve(lake: Lake, version: str) -> None:
    append_promotion(
        lake,
        Promotion(
            "demand", DAY, version, Outcome.PROMOTED, "better", datetime.combine(DAY, time(4)), "gate:test"
        ),
    )


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A deployment with the twin of DynamoDB, whose lake holds the forecasts of two days and no raw table."""
    var = tmp_path_factory.mktemp("demand")
    with pytest.MonkeyPatch.context() as patch, LocalStack(Settings(var=var), Ports.free()) as stack:
        for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            patch.delenv(name, raising=False)
        patch.setenv("AWS_CONFIG_FILE", "/nonexistent")
        stack.start_dynamodb()
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, stack.environment[name])
        prefix = "MILLRACE_DYNAMODB__"
        given = {
            name.removeprefix(prefix).lower(): value
            for name, value in stack.environment.items()
            if name.startswith(prefix)
        }
        made = Settings(var=var, dynamodb=DynamoSettings(**given))
        lake = Lake.of(made)
        let_serve(lake, "demand/1")
        for day, shift in ((DAY, 0.0), (NEXT, 1.0)):
            forecast(lake, day, shift)
            certify(lake, day, operational=True, strategic=True)
        yield made


@dataclass(frozen=True)
class Days:
    """What two days of publishing reported, and what readers saw after each."""

    settings: Settings
    records: tuple[dict[str, Any], dict[str, Any]]
    seen: tuple[dict[str, Any], dict[str, Any]]


@pytest.fixture(scope="module")
def days(settings: Settings) -> Days:
    records, seen = [], []
    keys = [f"sku_store#{store}#{sku}" for store, sku in SERIES] + [f"{a}#{b}" for a, b in NODES]
    for day in (DAY, NEXT):
        records.append(publish.run(USECASE, day, settings=settings, params=PARAMS))
        with Reader.open(settings, "demand") as reader:
            seen.append(reader.get_many(keys).found)
    return Days(settings, (records[0], records[1]), (seen[0], seen[1]))


def test_every_series_and_node_is_an_item_with_all_days(days: Days) -> None:
    for record, day in zip(days.records, (DAY, NEXT), strict=True):
        assert (record["planned"], record["ok"], record["complete"], record["balanced"]) == (9, 9, True, True)
        assert (record["as_of"], record["object"]) == (day.isoformat(), "millrace/demand")
        assert record["kept_through"] == (day + timedelta(days=14)).isoformat()
    first, second = days.seen
    assert len(first) == len(second) == 9
    item = first["sku_store#S1#K2"]
    assert (item["level"], item["node"], item["store_id"], item["sku_id"]) == (
        "sku_store",
        "S1/K2",
        "S1",
        "K2",
    )
    assert (item["as_of"], item["starts_on"], item["days"]) == ("2026-01-05", "2026-01-06", DAYS)
    assert (item["segment"], item["model"], item["reason"]) == ("stable", "ets", "best of its cell")
    assert item["model_version"] == "demand/1"
    for name, number in quantities(20, 0).items():
        wanted = [quantities(20, h)[name] for h in range(1, DAYS + 1)]
        assert [float(value) for value in item[name]] == pytest.approx(wanted, abs=5.1e-4), (name, number)
    assert [float(value) for value in second["sku_store#S1#K2"]["operational"]] == pytest.approx(
        [quantities(21, h)["operational"] for h in range(1, DAYS + 1)], abs=5.1e-4
    )
    ordered = first["sku_store#S1#K1"]
    assert (ordered["order_packs"], ordered["order_units"], ordered["order_day"]) == (3, 12, "2026-01-05")
    assert (ordered["arrives_on"], ordered["covers_until"]) == ("2026-01-06", "2026-01-07")
    assert (ordered["order_reason"], "order_packs" in item) == ("usual days", False)
    node = first["region#north"]
    assert (node["level"], node["node"], "store_id" in node, "model" in node) == (
        "region",
        "north",
        False,
        False,
    )
    assert {item["version"] for item in second.values()} == {days.records[1]["serves"]}


def test_an_absent_raw_table_that_the_export_does_not_read_stops_nothing(days: Days) -> None:
    lake = Lake.of(days.settings)
    assert not [table.name for table in USECASE.raw_tables if lake.exists(table.name)]
    assert [record["ok"] for record in days.records] == [9, 9]


def test_what_serves_can_be_asked_and_taken_back(days: Days) -> None:
    with Reader.open(days.settings, "demand") as reader:
        pointer = reader.current()
    assert (pointer.version, pointer.as_of) == (days.records[1]["run_id"], NEXT)
    assert (pointer.items, pointer.kept_through, pointer.revision) == (9, date(2026, 1, 20), 2)
    record = publish.roll_back(USECASE, days.settings, why="promotion of the north was cancelled")
    assert (record["serves"], record["as_of"], record["revision"]) == (
        days.records[0]["run_id"],
        "2026-01-05",
        3,
    )
    with Reader.open(days.settings, "demand") as reader:
        assert reader.get("national#all") == days.seen[0]["national#all"]
    with pytest.raises(SinkError, match="nothing served before"):
        publish.roll_back(USECASE, days.settings, why="again")


def run(settings: Settings, day: date, **more: Any) -> dict[str, Any]:
    return publish.run(USECASE, day, settings=settings, params=PARAMS, **more)


def test_a_day_without_forecasts_or_certificate_names_the_command(settings: Settings) -> None:
    lake, day = Lake.of(settings), date(2026, 2, 1)
    words = f"run `millrace score demand --as-of {day}` first"
    with pytest.raises(DataContractError, match=f"no certificate of the operational and strategic .*{words}"):
        run(settings, day)
    certify(lake, day, operational=True)
    with pytest.raises(DataContractError, match="no certificate of the strategic forecast"):
        run(settings, day)
    certify(lake, day, operational=True, strategic=True)
    with pytest.raises(DataContractError, match=f"demand_forecasts has no rows for {day}: {words}"):
        run(settings, day)


def test_a_breached_certificate_blocks_the_publication_and_cannot_be_forced(settings: Settings) -> None:
    lake, day = Lake.of(settings), date(2026, 2, 2)
    forecast(lake, day, 0.0)
    certify(lake, day, operational=True, strategic=False)
    with pytest.raises(DataContractError, match=r"not coherent .* strategic: store S1 is off by 3 units"):
        run(settings, day, force=True)


def test_forecasts_of_models_that_never_served_are_refused(settings: Settings) -> None:
    lake, day = Lake.of(settings), date(2026, 2, 3)
    forecast(lake, day, 0.0, version="demand/9")
    certify(lake, day, operational=True, strategic=True)
    with pytest.raises(ModelGateError, match="comes from demand/9, which never was champion"):
        run(settings, day)


def test_a_forecast_that_lacks_a_day_is_refused_by_dbt(days: Days) -> None:
    lake, day = Lake.of(days.settings), date(2026, 2, 4)
    forecast(lake, day, 0.0, days=DAYS - 1)
    certify(lake, day, operational=True, strategic=True)
    with pytest.raises(DataContractError, match="assert_every_forecast_of_the_day_leaves"):
        run(days.settings, day)


def test_a_version_must_outlive_its_forecasts(settings: Settings) -> None:
    with pytest.raises(ConfigError, match=r"retention_days must be at least horizon_days \(14\), got 13"):
        USECASE.load_params(settings, {"publish.retention_days": 13})
