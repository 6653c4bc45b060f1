"""Adapter of the M5 competition's data to the raw layouts of demand.

Two forms are read: Kaggle's files (``sales_train_evaluation.csv`` or ``sales_train_validation.csv``
with a column per day, ``calendar.csv``, ``sell_prices.csv``) with a product per item, and the sums by
store and department (``m5_store_dept_daily_1913.parquet`` with ``calendar_from_df_model.csv``) with a
product per department. What the source lacks is not invented; the rules:

- *Hierarchy.* The region is the state: national -> state -> store -> product.
- *Sales.* Days without a sale have no row, nor have the cells that were filled in with 0. There are no
  stock-out flags, so every zero counts as no demand.
- *Prices.* ``sell_prices.csv`` is weekly by store: the revenue uses the store's price, the product's
  price is the median over the stores that sold it, a version per change, known the day before the
  week. Without that file there is neither revenue nor price.
- *Times.* A day's sales are known at the end of the day. Events and SNAP days are taken as announced
  56 days before they start; so are closures: days on which a store sold nothing at all.
- *Calendar.* National events become public holidays, religious, cultural and sporting ones local events
  without a place, and days on which SNAP (food stamps) may be spent local events of the state.
- *Promotions, weather.* The source has none, so the files are empty.
"""

# SQL is put together from declared names, names of files that were found, and constants.

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from features.schemas import Column, DType, Table
from features.sql import literal, quoted
from pipelines.errors import DataContractError
from pipelines.lab.adapters.flagged_days import announced, runs_query
from pipelines.sources.adapter import END_OF_DAY, Adapted, Adapter, no_rows, write_raw
from pipelines.sources.delivery import DeliveredFile
from pipelines.sources.layout import History, RawLayout
from pipelines.sources.staging import Staging
from pipelines.usecases.demand import layouts as demand

STATES = ("CA", "TX", "WI")


def _layout(
    name: str, columns: tuple[Column, ...], key: tuple[str, ...], optional: tuple[str, ...] = ()
) -> RawLayout:
    words = f"M5's file {name}, the columns that are read."
    return RawLayout(Table(name, words, columns, key), history=History.IMMUTABLE, optional=optional)


def _text(name: str, *, nullable: bool = False) -> Column:
    return Column(name, DType.STRING, "As in the source.", nullable=nullable)


def _calendar(name: str, number: Column) -> RawLayout:
    snap = tuple(
        Column(f"snap_{state}", DType.INTEGER, "SNAP day.", minimum=0, maximum=1) for state in STATES
    )
    events = tuple(_text(f"event_{part}_{n}", nullable=True) for n in (1, 2) for part in ("name", "type"))
    week = Column("wm_yr_wk", DType.INTEGER, "Week.", nullable=True)
    day = Column("date", DType.DATE, "Day.")
    optional = ("wm_yr_wk", "event_name_2", "event_type_2")
    return _layout(name, (day, number, week, *events, *snap), ("date",), optional)


_WIDE = (_text("item_id"), _text("dept_id"), _text("cat_id"), _text("store_id"), _text("state_id"))

CALENDAR = _calendar("calendar", Column("d", DType.STRING, "Number of the day, d_1 and so on."))
PRICES = _layout(
    "sell_prices",
    (
        _text("store_id"),
        _text("item_id"),
        Column("wm_yr_wk", DType.INTEGER, "Week."),
        Column("sell_price", DType.NUMBER, "Price.", unit="USD", minimum=0),
    ),
    ("store_id", "item_id", "wm_yr_wk"),
)
VALIDATION, EVALUATION = (
    _layout(f"sales_train_{part}", _WIDE, ("item_id", "store_id")) for part in ("validation", "evaluation")
)
DEPT_CALENDAR = _calendar("calendar_from_df_model", Column("n", DType.INTEGER, "Number of the day."))
DEPARTMENTS = _layout(
    "m5_store_dept_daily_1913",
    (
        _text("store_id"),
        _text("dept_id"),
        _text("cat_id"),
        _text("state_id"),
        Column("date", DType.DATE, "Day."),
        Column("sales", DType.NUMBER, "Units.", unit="units", minimum=0),
    ),
    ("store_id", "dept_id", "date"),
)

LAYOUTS = (CALENDAR, PRICES, VALIDATION, EVALUATION, DEPT_CALENDAR, DEPARTMENTS)
#: Files of the competition that are not read.
IGNORED = ("sample_submission", "sales_test_evaluation", "sales_test_validation", "weights_evaluation")


def adapt(staging: Staging, files: Sequence[DeliveredFile], into: Path) -> Adapted:
    """Write M5's rows as files in the raw layouts of demand.

    Parameters
    ----------
    staging
        Scratch space of the ingest; rows that break a rule go to its quarantine.
    files
        The files of one of the two forms, checked.
    into
        Folder for the adapted Parquet files. The same input gives the same bytes.

    Raises
    ------
    DataContractError
        A file is absent or cannot be read to its end.
    """
    by_name = {file.layout.table.name: file for file in files}
    con, outcomes = staging.con, []
    # The evaluation file holds the validation file's days and 28 more.
    wide = by_name.get(EVALUATION.table.name) or by_name.get(VALIDATION.table.name)
    wanted = (CALENDAR, PRICES, wide.layout) if wide else (DEPT_CALENDAR, DEPARTMENTS)
    missing = [layout.table.name for layout in wanted if layout.table.name not in by_name]
    if missing:
        raise DataContractError(
            "M5 is sales_train_evaluation.csv (or _validation), calendar.csv and sell_prices.csv, or"
            f" {DEPARTMENTS.table.name}.parquet and {DEPT_CALENDAR.table.name}.csv; missing {missing}"
        )
    for layout in wanted:
        file = by_name[layout.table.name]
        staging.examine(file)
        outcomes.append(staging.settle(file))
        name = "wide" if file is wide else layout.table.name
        con.execute(f"create temp table {name} as select * exclude (is_bad) from checked where not is_bad")
    (_from_items if wide else _from_departments)(con, wide)
    con.execute(_SHARED)
    into.mkdir()
    for layout, query in _QUERIES:
        write_raw(con, layout, query, into)
    for (year,) in con.execute("select distinct year(sold_on) from cells order by 1").fetchall():
        write_raw(con, demand.SALES, _SALES.format(year=year), into, part=str(year))
    return Adapted(tuple(outcomes), ())


def _from_departments(con: duckdb.DuckDBPyConnection, _: DeliveredFile | None) -> None:
    """Make ``calendar``, ``cells``, ``items`` and ``prices`` from the sums by department."""
    con.execute(f"""
        create temp view calendar as from {DEPT_CALENDAR.table.name};
        create temp table cells as
        select store_id, dept_id as sku_id, date as sold_on, sales as quantity, null::double as price
        from {DEPARTMENTS.table.name} where sales > 0;
        create temp table items as
        select distinct dept_id as sku_id, cat_id as category, null::varchar as subcategory
        from {DEPARTMENTS.table.name};
        create temp table shops as select distinct store_id, state_id from {DEPARTMENTS.table.name};
        create temp table prices (sku_id varchar, price double, day date);
    """)


def _from_items(con: duckdb.DuckDBPyConnection, wide: DeliveredFile | None) -> None:
    """The same from Kaggle's files: a column per day becomes a row per day with sales."""
    assert wide is not None  # noqa: S101 - chosen by the caller
    days = [name for name in wide.header if name.startswith("d_")]
    columns = ", ".join(
        f"{literal(name)}: {literal('DOUBLE' if name in days else 'VARCHAR')}" for name in wide.header
    )
    source = (
        f"read_csv({literal(str(wide.path))}, columns = {{{columns}}}, header = true, auto_detect = false)"
        if wide.is_csv
        else f"read_parquet({literal(str(wide.path))})"
    )
    con.execute(f"""
        create temp table sold as
        select store_id, item_id, d, quantity from (
            unpivot (select store_id, item_id, {", ".join(quoted(day) for day in days)} from {source})
            on {", ".join(quoted(day) for day in days)} into name d value quantity
        )
        semi join wide using (store_id, item_id)
        where quantity > 0;
        create temp table cells as
        select store_id, item_id as sku_id, date as sold_on, quantity, sell_price as price
        from sold join calendar using (d) left join sell_prices using (store_id, item_id, wm_yr_wk);
        drop table sold;
        create temp table items as
        select distinct item_id as sku_id, cat_id as category, dept_id as subcategory from wide;
        create temp table shops as select distinct store_id, state_id from wide;
        create temp table prices as
        select item_id as sku_id, median(sell_price) as price, min(date) as day
        from sell_prices join (select wm_yr_wk, min(date) as date from calendar group by 1) using (wm_yr_wk)
        group by item_id, wm_yr_wk;
    """)


#: What follows from either form: first days, and each store's days with a flag where it sold nothing.
_SHARED = """
    create temp table spans as
    select min(sold_on) as first_day, max(sold_on) as last_day from cells;

    create temp table openings as
    select store_id, min(sold_on) as first_day from cells group by store_id;

    create temp table shut as
    select store_id as place, day::date as day, case when sold is null then 'shut' end as flag,
        row_number() over (partition by store_id order by day) as step
    from (
        select store_id, unnest(generate_series(openings.first_day, last_day, interval 1 day)) as day
        from openings, spans
    )
    left join (select store_id, sold_on as day, true as sold from cells group by all)
        using (store_id, day);

    create temp table snap as
    select state as place, date as day, case when spent = 1 then 'on' end as flag,
        row_number() over (partition by state order by date) as step
    from (unpivot (from calendar) on snap_CA, snap_TX, snap_WI into name state value spent);
    update snap set place = place[6:];
"""

_SALES = f"""
    select store_id, sku_id, sold_on, quantity, round(quantity * price, 2) as revenue_eur, false as stocked_out,
        null as on_hand, {END_OF_DAY.format(day="sold_on")} as known_at
    from cells where year(sold_on) = {{year}}
    order by store_id, sku_id, sold_on
"""

_EVENTS = f"""
    select event_id, kind, region, store_id, name, starts_on, ends_on, {announced("starts_on")} as known_at
    from (
        select 'event-' || date || '-' || event_name as event_id,
            case when event_type = 'National' then 'public_holiday' else 'local_event' end as kind,
            null::varchar as region, null::varchar as store_id, event_name as name, date as starts_on, date as ends_on
        from (
            select date, event_name_1 as event_name, event_type_1 as event_type from calendar
            union all
            select date, event_name_2, event_type_2 from calendar
        )
        where event_name is not null
        union all
        select id, 'local_event', place, null, 'SNAP', starts_on, ends_on
        from ({runs_query("snap", place="place", kind="snap")})
        union all
        select id, 'closure', null, place, 'No sales', starts_on, ends_on
        from ({runs_query("shut", place="place", kind="closed")})
    )
    order by event_id
"""

_QUERIES = (
    (
        demand.STORES,
        """
        select store_id, store_id as store_name, state_id as region, null as clientele, null as store_type,
            null as assortment, null as surface_m2, null as competition_distance_m, null as competition_opened_on,
            true as opens_sunday, openings.first_day as opened_on, null as closed_on,
            cast(spans.first_day as timestamp) - interval 1 day as known_at
        from shops join openings using (store_id), spans order by store_id
        """,
    ),
    (
        demand.PRODUCTS,
        """
        with launched as (select sku_id, min(sold_on) as launched_on from cells group by sku_id),
        changes as (
            select sku_id, price, day from prices
            qualify price is distinct from lag(price) over (partition by sku_id order by day)
        ),
        versions as (
            select sku_id, price, cast(day as timestamp) - interval 1 day as known_at from changes
            union all
            select sku_id, null, cast(launched_on as timestamp) - interval 1 day
            from launched anti join changes using (sku_id)
        )
        select sku_id, sku_id as product_name, category, subcategory, null as brand, null as price_band,
            null as pack_size, price as list_price_eur, launched_on, null as delisted_on, known_at
        from versions join items using (sku_id) join launched using (sku_id) order by sku_id, known_at
        """,
    ),
    (demand.PROMOTIONS, no_rows(demand.PROMOTIONS)),
    (demand.WEATHER_OBSERVED, no_rows(demand.WEATHER_OBSERVED)),
    (demand.WEATHER_FORECASTS, no_rows(demand.WEATHER_FORECASTS)),
    (demand.CALENDAR_EVENTS, _EVENTS),
    (demand.CUSTOMERS, no_rows(demand.CUSTOMERS)),
)  # fmt: skip


ADAPTER = Adapter(LAYOUTS, adapt, ignored=IGNORED)
