"""Orders of a morning: the stock as it was known then, in numbers worked out by hand; words, files, faults."""

from __future__ import annotations

import csv
import zipfile
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from models.forecasting.forecaster import DemandForecaster
from models.forecasting.panel import Panel
from models.forecasting.sums import SumQuantiles
from models.ordering.stock import Lives
from pipelines.errors import ConfigError
from pipelines.io.commits import as_rows
from pipelines.settings import PROJECT_ROOT, Settings
from pipelines.usecase import Run
from pipelines.usecases.demand import USECASE, orders
from pipelines.usecases.demand.dataset import Origin
from pipelines.usecases.demand.params import DemandParams
from pipelines.usecases.demand.schemas import ORDERS

MONDAY = date(2025, 6, 16)
#: Of a category that orders daily and keeps four days, and of one that orders on Mondays and keeps.
PROFILE = pd.DataFrame(
    {
        "store_id": ["S1", "S1", "S2", "S2"],
        "sku_id": ["K1", "K2", "K1", "K2"],
        "category": ["bakery", "dry_grocery", "bakery", "dry_grocery"],
        "segment": "stable",
        "pattern": "smooth",
    }
)
LIVES = Lives(np.array([4, 99, 4, 99]))


def at(day: date, hour: int = 22) -> datetime:
    return datetime.combine(day, datetime.min.time()) + timedelta(hours=hour)


def ago(days: int) -> date:
    return MONDAY - timedelta(days=days)


@pytest.fixture
def run(tmp_path: Path) -> Run[DemandParams]:
    return USECASE.run(MONDAY, Settings(var=tmp_path))


def land(run: Run[DemandParams], name: str, *rows: dict[str, Any]) -> None:
    table = USECASE.raw(name)
    columns = set(table.column_names)
    filled = [
        dict.fromkeys(columns) | {"ingested_at": at(MONDAY, 3), "store_id": "S1", "sku_id": "K1"} | row
        for row in rows
    ]
    filled = [
        row | {name: f"{row['known_at']:%Y-%m}" for name in columns if name.endswith("month")}
        for row in filled
    ]
    run.lake.overwrite(table, pa.Table.from_pylist(filled, schema=table.arrow_schema))


def counted(
    day: date, units: float, expires: date | None = None, lot: str = "all", **more: Any
) -> dict[str, Any]:
    row = {"counted_on": day, "on_hand": units, "expires_on": expires, "lot": lot, "known_at": at(day)}
    return row | more


def origin(sold: float = 5.0, unreported: int = 0) -> Origin:
    """Every product sells so many units a day; the newest days are not reported."""
    n, history, horizon = len(PROFILE), 40, 15
    y = np.full((n, history), sold, dtype=np.float32)
    if unreported:
        y[:, -unreported:] = np.nan
    shape = (n, history + horizon)
    calendar = {"is_open": np.ones((2, shape[1]), "f4"), "is_public_holiday": np.zeros((2, shape[1]), "f4")}
    panel = Panel(
        series=PROFILE,
        days=np.datetime64(MONDAY) - history + np.arange(history + horizon),
        n_history=history,
        y=y,
        censored=np.zeros((n, history), dtype=bool),
        promo=np.zeros(shape, dtype=np.float32),
        price=np.full(shape, 2.0, dtype=np.float32),
        store=np.array([0, 0, 1, 1]),
        calendar=calendar,
    )
    return Origin(np.datetime64(MONDAY), panel, {})


def forecaster() -> DemandForecaster:
    """Windows of Poisson demand."""
    rng = np.random.default_rng(1)
    forecast = np.repeat(rng.uniform(1, 20, (4000, 1)), 14, axis=1)
    sums = SumQuantiles().fit(
        rng.poisson(forecast),
        forecast,
        censored=np.zeros(forecast.shape, bool),
        groups=["stable/regular"] * 4000,
    )
    return DemandForecaster(sums=sums)


def made(run: Run[DemandParams], where: Origin | None = None, units: float = 5.0) -> orders.DayOrders:
    return orders.order_day(run, where or origin(), PROFILE, np.full((4, 15), units), forecaster())


def held(run: Run[DemandParams], where: Origin | None = None) -> orders.Held:
    found = orders.read_stock(run, where or origin(), PROFILE, LIVES)
    assert found is not None
    return found


def test_stock_of_the_morning_is_the_newest_count_and_what_is_known_since(run: Run[DemandParams]) -> None:
    land(
        run, "stock", counted(ago(5), 90), counted(ago(3), 40, sku_id="K2"), counted(ago(8), 7, store_id="S2"),
        counted(ago(1), 60), counted(MONDAY, 3, known_at=at(ago(1))),
    )  # fmt: skip
    land(
        run, "deliveries",
        {"order_id": "O1", "delivered_on": ago(2), "units": 12, "sku_id": "K2", "known_at": at(ago(2), 7)},
        {"order_id": "O1", "delivered_on": ago(4), "units": 99, "sku_id": "K2", "known_at": at(ago(4), 7)},
    )  # fmt: skip
    land(
        run, "write_offs",
        {"written_off_on": ago(1), "units": 2, "cause": "damaged", "sku_id": "K2", "known_at": at(ago(1))},
        {"written_off_on": ago(3), "units": 50, "cause": "damaged", "sku_id": "K2", "known_at": at(ago(3))},
    )  # fmt: skip
    found = held(run)
    assert found.counted.tolist() == [True, True, False, False], "a count of eight days ago is too old"
    # K1: counted yesterday evening. K2: 40 + 12 - 2 days x 5 sold - 2 written off.
    assert found.stock.sum(axis=1).tolist() == [60, 40, 0, 0]
    assert held(run, origin(sold=5, unreported=1)).stock[1].sum() == 40, "a day not reported sold as usual"
    assert held(run, origin(sold=50)).stock[1].sum() == 0, "never below nothing"


def test_stock_is_old_as_far_as_is_told(run: Run[DemandParams]) -> None:
    land(
        run, "stock",
        counted(ago(1), 3, MONDAY, lot="a"), counted(ago(1), 4, MONDAY + timedelta(days=2), lot="b"),
        counted(ago(1), 9, ago(1), lot="c"), counted(ago(1), 6, store_id="S2"),
    )  # fmt: skip
    stock = held(run).stock
    assert stock[0].tolist() == [3, 0, 4, 0], "on their last day, two days later; the expired lot is gone"
    assert stock[2].tolist() == [0, 6, 0, 0], "of unknown age: half of its life"


def test_orders_on_their_way_are_the_newest_versions_less_what_arrived(run: Run[DemandParams]) -> None:
    order = {"ordered_on": ago(3), "due_on": MONDAY, "units": 10, "known_at": at(ago(3))}
    land(run, "stock", counted(ago(1), 1))
    land(
        run, "open_orders",
        {"order_id": "O1", **order},
        {"order_id": "O2", **order},
        {"order_id": "O2", **order, "units": 0, "known_at": at(ago(2))},
        {"order_id": "O3", **order, "due_on": ago(1)},
        {"order_id": "O3", **order, "due_on": MONDAY + timedelta(days=2), "known_at": at(ago(1))},
        {"order_id": "O4", **order, "due_on": ago(9)},
        {"order_id": "O5", **order, "due_on": ago(2), "units": 30},
    )  # fmt: skip
    land(
        run, "deliveries", {"order_id": "O5", "delivered_on": ago(2), "units": 24, "known_at": at(ago(2), 7)}
    )
    # O1 this morning, O2 cancelled, O3 in two days, O4 lost, of O5 six are late and may come today.
    assert held(run).due[0, :3].tolist() == [16, 0, 10]


def test_rows_known_later_change_no_order(run: Run[DemandParams]) -> None:
    now, early = at(ago(1)), at(MONDAY, 0)
    stock = [counted(ago(1), 20, store_id=s, sku_id=k) for s in ("S1", "S2") for k in ("K1", "K2")]
    order = {"order_id": "O1", "ordered_on": ago(1), "due_on": MONDAY, "units": 4, "known_at": now}
    land(run, "stock", *stock)
    land(run, "open_orders", order)
    before = made(run).rows
    land(run, "stock", *stock, counted(ago(1), 500, lot="late", known_at=early))
    land(
        run,
        "open_orders",
        order,
        {**order, "units": 400, "known_at": early},
        {**order, "order_id": "O9", "known_at": early},
    )
    land(run, "deliveries", {"order_id": "O1", "delivered_on": MONDAY, "units": 4, "known_at": at(MONDAY, 6)})
    land(run, "write_offs", {"written_off_on": ago(0), "units": 15, "cause": "other", "known_at": early})
    pd.testing.assert_frame_equal(made(run).rows, before)


def test_an_order_says_when_it_comes_how_long_it_lasts_and_why(run: Run[DemandParams]) -> None:
    land(run, "stock", *(counted(ago(1), 7, store_id="S1", sku_id=k) for k in ("K1", "K2")))
    where = origin()
    where.panel.promo[0, 41] = 0.2
    found = made(run, where)
    assert found.rows is not None
    bread, pasta = found.rows.to_dict("records")
    assert (bread["sku_id"], pasta["sku_id"]) == ("K1", "K2")
    days = ("order_day", "arrives_on", "covers_until")
    assert [pd.Timestamp(bread[name]).date() for name in days] == [MONDAY, ago(-1), ago(-1)]
    assert [pd.Timestamp(pasta[name]).date() for name in days] == [MONDAY, ago(-2), ago(-3)]
    assert (bread["expected"], pasta["expected"]) == (10, 20)
    assert bread["packs"] * 4 == bread["units"] >= 4
    assert pasta["packs"] * 6 == pasta["units"] >= 12
    assert bread["reason"].startswith("promotion; 10 expected until Tue 17 Jun; ")
    assert pasta["reason"].startswith("usual days; 20 expected until Thu 19 Jun; ")
    assert pasta["reason"].endswith(f"{100 * pasta['service']:.0f} % service; 7 on hand")
    assert found.record == {
        "products": 2, "ordered": 2, "packs": bread["packs"] + pasta["packs"], "not_counted": 2,
        "words": "2 products have no count of the last 7 days and get no order",
    }  # fmt: skip


def test_without_stock_or_sums_nothing_is_ordered_and_the_record_says_why(run: Run[DemandParams]) -> None:
    assert made(run).rows is None
    assert "no stock was delivered" in made(run).record["words"]
    old = orders.order_day(run, origin(), PROFILE, np.ones((4, 15)), DemandForecaster())
    assert old.rows is None
    assert "train again" in old.record["words"]


def test_on_a_day_without_orders_there_are_no_rows(tmp_path: Path) -> None:
    sunday = USECASE.run(ago(1), Settings(var=tmp_path))
    land(sunday, "stock", counted(ago(2), 5))
    found = made(sunday)
    assert found.rows is not None
    assert found.rows.empty
    assert found.record["words"] == "no category orders on a Sunday"


def test_files_by_store_hold_what_the_table_holds(run: Run[DemandParams]) -> None:
    land(run, "stock", *(counted(ago(1), 7, store_id=s, sku_id="K2") for s in ("S1", "S2")))
    assert orders.order_files(run) == {"stores": [], "arrives": []}
    rows = made(run).rows
    assert rows is not None
    run.lake.replace_partition(ORDERS, as_rows(ORDERS, rows, MONDAY, "demand/1"), {"as_of": MONDAY})
    shown = orders.order_files(run)
    stores = shown["stores"]
    assert isinstance(stores, list)
    first = stores[0]
    assert (first["store"], first["csv"]) == ("S1", "orders/2025-06-16/S1.csv")
    with (run.settings.report_dir / first["csv"]).open(newline="") as file:
        [line] = csv.DictReader(file)
    assert (line["product"], int(line["packs"]), line["reason"]) == (
        "K2",
        rows["packs"][0],
        rows["reason"][0],
    )
    assert line["arrives_on"] == "2025-06-18"
    sheet = run.settings.report_dir / first["xlsx"]
    with zipfile.ZipFile(sheet) as book:
        text = book.read("xl/sharedStrings.xml").decode()
    assert rows["reason"][0] in text
    written = sheet.read_bytes()
    orders.order_files(run)
    assert sheet.read_bytes() == written


def test_the_table_of_planners_is_read_and_faults_are_named(tmp_path: Path) -> None:
    rules = orders.read_rules(Settings())
    assert rules.of(["bakery", "unheard of"]).lives.days.tolist() == [4, 61]
    seeds = tmp_path / "dbt_project" / "seeds"
    seeds.mkdir(parents=True)
    text = (PROJECT_ROOT / "dbt_project" / "seeds" / "demand_order_rules.csv").read_text()
    for wrong, words in (
        (text.replace("mon wed fri", "monday", 1), "order_days of '\\*' must be some of mon tue"),
        (text.replace("bakery", "dairy", 1), "a category must have one row"),
        (text.replace("*", "others", 1), "must serve the categories without one"),
        (text.replace("0.28,0.15", "much,0.15", 1), "margin of '\\*' must be a number, got 'much'"),
    ):
        (seeds / "demand_order_rules.csv").write_text(wrong)
        with pytest.raises(ConfigError, match=f"demand_order_rules.csv: .*{words}"):
            orders.read_rules(Settings().model_copy(update={"home": tmp_path}))
