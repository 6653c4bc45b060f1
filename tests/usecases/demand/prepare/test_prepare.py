"""The step publishes what it counts, keeps the lake bounded, and copes with chains that lack most tables."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any

import pyarrow as pa
import pytest

from pipelines.errors import DataContractError
from pipelines.io.lake import Lake
from pipelines.io.marts import published_days
from pipelines.settings import Settings
from pipelines.steps import prepare
from pipelines.usecases.demand import USECASE

Rows = list[dict[str, Any]]
Raw = dict[str, Rows]

DAY = date(2025, 6, 3)  # a Tuesday


def test_the_record_counts_what_was_published(today: Any, as_of: date) -> None:
    record, found = today.record, today.frames(as_of)
    assert record["series"] == len(found["profile"]) == sum(record["segments"].values())
    assert record["segments"] == found["profile"]["segment"].value_counts().to_dict()
    assert record["out_of_scope"] == found["out_of_scope"]["scope_reason"].value_counts().to_dict()
    assert record["rows"]["features/demand_panel"] == len(found["panel"])
    assert record["snapshots"] == 4
    ahead = Lake.of(today.settings).read("features/demand_ahead")
    assert record["rows"]["features/demand_ahead"] == ahead.num_rows
    assert set(ahead["as_of"].to_pylist()) == {as_of, *today.params.origins(as_of)}


def test_a_published_day_is_left_alone_on_request(
    today: Any, alone: Any, as_of: date, monkeypatch: pytest.MonkeyPatch
) -> None:
    def started(*_: Any, **__: Any) -> None:
        raise DataContractError("dbt was started")

    def again(of: Any, **options: Any) -> dict[str, Any]:
        return prepare.run(
            USECASE, as_of, settings=of.settings, params=of.params, only_if_missing=True, **options
        )

    monkeypatch.setattr(prepare, "run_dbt", started)
    done = {"as_of": as_of.isoformat(), "published": False}
    assert again(today, training=True) == again(today) == again(alone) == done
    with pytest.raises(DataContractError, match="dbt was started"):  # its past origins are missing
        again(alone, training=True)


def test_only_the_newest_panels_and_the_one_just_made_are_kept(tmp_path: Any) -> None:
    settings = Settings(var=tmp_path)
    params = USECASE.load_params(settings, {"panel_versions": 2})
    [mart] = [mart for mart in USECASE.marts if mart.kept is not None]

    def publish(day: date) -> list[date]:
        here = USECASE.run(day, settings, params)
        panel = here.mart(mart.model)
        row = {
            "as_of": day, "store_id": "s", "sku_id": "k", "ds": day - timedelta(days=1), "quantity": 1.0,
            "is_stockout": False, "promo_discount": 0.0, "price": None, "reported_on": day,
        }  # fmt: skip
        rows = pa.Table.from_pylist([row], schema=panel.table.arrow_schema)
        here.lake.replace_partition(panel.table, rows, {"as_of": day})
        before = published_days(here.lake, panel)
        prepare._drop_old(here, mart, {})
        kept = published_days(here.lake, panel)
        assert day in kept
        return sorted(before - kept)

    days = [DAY + timedelta(days=n) for n in range(4)]
    assert [publish(day) for day in days] == [[], [], [days[0]], [days[1]]]
    assert publish(days[0]) == [days[2]], "a backfill keeps its own day and the newest"
    assert publish(days[3]) == [], "a day again replaces itself"


# ------------------------------------------------------------- a chain of awkward series, three tables only


def report(store: str, sku: str, ages: range, quantity: Callable[[int], float], **more: Any) -> Rows:
    """Sales of a product on the days that are so many days ago, known in the evening; not on Sundays."""
    rows = []
    for age in ages:
        day = DAY - timedelta(days=age)
        if day.weekday() == 6:
            continue
        sold = quantity(age)
        rows.append(
            {
                "store_id": store, "sku_id": sku, "sold_on": day, "quantity": sold, "revenue_eur": 2.5 * sold,
                "stocked_out": False, "on_hand": None, "known_at": datetime.combine(day, time(22)),
            }
            | more
        )  # fmt: skip
    return rows


@pytest.fixture(scope="module")
def awkward(workplace: Callable[[Raw], Settings]) -> Any:
    """Stores in all states, one series of each kind, and a horizon of six weeks."""
    beginning = datetime.combine(date(2024, 1, 1), time.min)
    store = {
        "store_name": "Store", "region": "north", "opens_sunday": False, "opened_on": date(2015, 1, 1),
        "closed_on": None, "known_at": beginning,
    }  # fmt: skip
    tomorrow = DAY + timedelta(days=1)
    stores = [
        store | {"store_id": "open"},
        store | {"store_id": "gone", "closed_on": DAY - timedelta(days=1)},
        store | {"store_id": "last day", "closed_on": DAY},
        store | {"store_id": "rebuilt"},
        store
        | {"store_id": "rebuilt", "opened_on": date(2026, 1, 1), "known_at": beginning + timedelta(days=500)},
        store | {"store_id": "unknown yet", "known_at": datetime.combine(tomorrow, time.min)},
    ]
    product = {
        "product_name": "Product", "category": "all", "launched_on": date(2020, 1, 1), "delisted_on": None,
        "known_at": beginning,
    }  # fmt: skip
    usual, long = (lambda age: 10.0 + age % 3), range(1, 301)
    kinds = {
        "ALL": report("open", "ALL", long, usual),
        "constant": report("open", "constant", long, lambda _: 5.0),
        "spike": report("open", "spike", range(39, 40), lambda _: 7.0),
        "short": report("open", "short", range(1, 4), usual),
        "zero": report("open", "zero", range(1, 200, 9), lambda _: 0.0, stocked_out=True),
        "silent": report("open", "silent", range(91, 300), usual),
        "delisted": report("open", "delisted", long, usual),
    }
    sales = [row for rows in kinds.values() for row in rows]
    for name in ("gone", "last day", "rebuilt", "unknown yet"):
        sales += report(name, "ALL", long, usual)
    delisted = {"delisted": DAY - timedelta(days=1)}
    products = [product | {"sku_id": sku, "delisted_on": delisted.get(sku)} for sku in kinds]
    settings = workplace({"stores": stores, "products": products, "sales": sales})
    params = USECASE.load_params(settings, {"horizon_days": 42, "publish.retention_days": 42})
    record = prepare.run(USECASE, DAY, settings=settings, params=params)
    lake = Lake.of(settings)
    names = ("panel", "calendar", "ahead", "profile", "out_of_scope")
    frames = {name: lake.read(f"features/demand_{name}").to_pandas() for name in names}
    return record, frames


def test_every_series_gets_a_model_a_named_fallback_or_a_reason(awkward: Any) -> None:
    record, frames = awkward
    profile = frames["profile"].set_index(["store_id", "sku_id"])
    assert profile["fallback"].where(profile["fallback"].notna(), None).to_dict() == {
        ("open", "ALL"): None,
        ("open", "constant"): "fallback_constant",
        ("open", "spike"): "fallback_spike",
        ("open", "short"): "fallback_short",
        ("open", "zero"): "fallback_zero",
        ("last day", "ALL"): "fallback_closed",
        ("rebuilt", "ALL"): "fallback_closed",
        ("unknown yet", "ALL"): None,
    } | {("last day", "ALL"): None}
    assert profile.loc[("unknown yet", "ALL"), "region"] == "unknown"
    assert profile.loc[("open", "short"), "segment"] == "new"
    assert profile.loc[("open", "constant"), "pattern"] == "smooth"
    outside = frames["out_of_scope"].set_index(["store_id", "sku_id"])["scope_reason"]
    assert outside.to_dict() == {
        ("gone", "ALL"): "store_closed",
        ("open", "silent"): "not_sold",
        ("open", "delisted"): "delisted",
    }
    assert record["fallbacks"] == {
        "fallback_closed": 1, "fallback_constant": 1, "fallback_short": 1, "fallback_spike": 1, "fallback_zero": 1
    }  # fmt: skip


def test_a_chain_without_promotions_weather_and_events_has_none(awkward: Any) -> None:
    record, frames = awkward
    assert set(record["source_versions"]) == {"raw/demand_stores", "raw/demand_products", "raw/demand_sales"}
    calendar, ahead, panel = frames["calendar"], frames["ahead"], frames["panel"]
    assert set(calendar["weather_source"]) == {"none"}
    assert calendar["temperature_c"].isna().all()
    assert set(ahead["promo_mechanic"]) == {"none"}
    assert (panel["promo_discount"] == 0).all()
    assert (ahead.groupby(["store_id", "sku_id"])["horizon"].agg(["min", "max", "size"]) == (0, 42, 43)).all(
        None
    )


def test_without_list_prices_the_price_is_what_was_paid(awkward: Any) -> None:
    _, frames = awkward
    prices = frames["ahead"].groupby("sku_id")["price"].max()
    assert prices.drop("zero").eq(2.5).all()
    assert frames["ahead"].query("sku_id == 'zero'")["price"].isna().all()
    first = frames["panel"].groupby(["store_id", "sku_id"])["ds"].transform("min")
    assert frames["panel"].query("sku_id != 'zero'")["price"].eq(2.5).all()
    assert (first[frames["panel"]["sku_id"] == "ALL"] == DAY - timedelta(days=300)).all()


def test_closed_days_are_zero_and_the_calendar_says_so(awkward: Any) -> None:
    _, frames = awkward
    panel = frames["panel"].query("store_id == 'open' and sku_id == 'ALL'")
    sundays = panel[[day.weekday() == 6 for day in panel["ds"]]]
    assert (sundays["quantity"] == 0).all()
    assert not panel["quantity"].isna().any()
    is_open = frames["calendar"].set_index(["store_id", "ds"])["is_open"]
    days = [DAY + timedelta(days=n) for n in range(43)]
    assert is_open["open"][days].tolist() == [day.weekday() != 6 for day in days]
    assert is_open["last day"][days].tolist() == [day == DAY for day in days]
    assert not is_open["rebuilt"][days].any()
    assert is_open["unknown yet"][days].all()
    # Whoever sold was open, though the newest plan says that it opens next year.
    assert is_open["rebuilt"][DAY - timedelta(days=1)]


def test_sales_are_required(workplace: Callable[[Raw], Settings]) -> None:
    settings = workplace({"stores": [], "products": []})
    with pytest.raises(DataContractError, match="no table 'raw/demand_sales'"):
        prepare.run(USECASE, DAY, settings=settings)
