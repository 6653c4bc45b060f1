"""Adapter of Kaggle's Rossmann Store Sales to the raw layouts of demand.

``train.csv`` (or ``.csv.gz``) and ``store.csv`` go in; ``test.csv`` may lie beside them and is not
read. What the source lacks is not invented; the rules:

- *Series.* One product ``ALL`` per store. ``Sales`` is the store's turnover of the day and serves
  as the quantity as well as the revenue. ``Customers`` becomes the counts of customers, which describe a
  store; forecasts do not read them, because they are not known in advance.
- *Hierarchy.* The region of a store is its type and assortment (``a``..``d``, ``a``..``c``), so the
  tree is national -> type x assortment -> store.
- *Times.* A day's turnover is known at the end of the day. Promotions, holidays and closures come
  with Kaggle's test file six weeks ahead; they are taken as announced 56 days before they start,
  and the profile of a store as known the day before its first row.
- *Promotions.* ``Promo`` becomes contiguous runs (mechanic ``leaflet``), and ``Promo2`` a run per
  month of ``PromoInterval`` from the week on in which the store takes part (``coupon``). The source
  does not tell their depth: 20 % and 10 % stand for it.
- *Calendar.* ``StateHoliday`` and ``SchoolHoliday`` become public and school holidays, days with
  ``Open = 0`` closures, save the Sundays of stores that do not open on Sundays. Days that a store
  lacks between its first and last one are a closure too (180 stores have none in the second half of
  2014). A run that all stores share is one event without a store.
- A day that was open without turnover stays a row with quantity 0.
"""

# SQL is put together from declared names and constants.

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from features.schemas import Column, DType, Table
from pipelines.errors import DataContractError
from pipelines.lab.adapters.flagged_days import announced, runs_query
from pipelines.sources.adapter import END_OF_DAY, Adapted, Adapter, no_rows, write_raw
from pipelines.sources.delivery import DeliveredFile
from pipelines.sources.layout import History, RawLayout, RowRule
from pipelines.sources.staging import Staging
from pipelines.usecases.demand import layouts as demand

PRODUCT = "ALL"
#: Discounts that stand for the unknown depth of `Promo` and `Promo2`.
PROMO_DISCOUNT, PROMO2_DISCOUNT = 0.2, 0.1


def _flag(name: str, words: str) -> Column:
    return Column(name, DType.INTEGER, words, minimum=0, maximum=1)


STORE = RawLayout(
    Table(
        "store",
        "Rossmann's file store.csv, the columns that are read.",
        (
            Column("Store", DType.STRING, "Store."),
            Column("StoreType", DType.STRING, "Format.", allowed=("a", "b", "c", "d")),
            Column("Assortment", DType.STRING, "Basic, extra or extended.", allowed=("a", "b", "c")),
            Column("CompetitionDistance", DType.NUMBER, "Metres.", unit="m", nullable=True, minimum=0),
            Column(
                "CompetitionOpenSinceMonth", DType.INTEGER, "Month.", nullable=True, minimum=1, maximum=12
            ),
            Column("CompetitionOpenSinceYear", DType.INTEGER, "Year.", nullable=True, minimum=1800),
            _flag("Promo2", "Whether the store takes part."),
            Column("Promo2SinceWeek", DType.INTEGER, "ISO week.", nullable=True, minimum=1, maximum=53),
            Column("Promo2SinceYear", DType.INTEGER, "Year.", nullable=True, minimum=1900),
            Column("PromoInterval", DType.STRING, "Months in which it starts anew.", nullable=True),
        ),
        key=("Store",),
    ),
    history=History.IMMUTABLE,
)
TRAIN = RawLayout(
    Table(
        "train",
        "Rossmann's file train.csv, the columns that are read.",
        (
            Column("Store", DType.STRING, "Store."),
            Column("Date", DType.DATE, "Day."),
            Column("Sales", DType.NUMBER, "Turnover.", unit="EUR", minimum=0),
            Column("Customers", DType.INTEGER, "Customers of the day.", nullable=True, minimum=0),
            _flag("Open", "Whether the store was open."),
            _flag("Promo", "Whether a promotion ran."),
            Column("StateHoliday", DType.STRING, "0, or the kind.", allowed=("0", "a", "b", "c")),
            _flag("SchoolHoliday", "Whether schools near it were closed."),
        ),
        key=("Store", "Date"),
    ),
    history=History.IMMUTABLE,
    optional=("Customers",),
    references=(("Store", "store", "Store"),),
    rules=(RowRule("Sales", "be 0 where the store is closed", "Sales = 0 or Open = 1"),),
)

#: In reading order.
LAYOUTS = (STORE, TRAIN)
#: Files of the competition that are not read.
IGNORED = ("test", "sample_submission")

_HOLIDAYS = {"a": "Public holiday", "b": "Easter", "c": "Christmas"}
_ASSORTMENTS = {"a": "basic", "b": "extra", "c": "extended"}
_CLOSURES = {"closed": "Closed", "absent": "Not in the data"}


def _worded(column: str, words: dict[str, str]) -> str:
    """SQL that puts words in the place of codes."""
    cases = " ".join(f"when '{code}' then '{word}'" for code, word in words.items())
    return f"case {column} {cases} end"


def adapt(staging: Staging, files: Sequence[DeliveredFile], into: Path) -> Adapted:
    """Write Rossmann's rows as files in the raw layouts of demand.

    Parameters
    ----------
    staging
        Scratch space of the ingest; rows that break a rule go to its quarantine.
    files
        The two files, checked.
    into
        Folder for the adapted Parquet files. The same input gives the same bytes.

    Raises
    ------
    DataContractError
        A file is absent or cannot be read to its end.
    """
    missing = {layout.table.name for layout in LAYOUTS} - {file.layout.table.name for file in files}
    if missing:
        raise DataContractError(f"Rossmann is two files; missing {sorted(f'{name}.csv' for name in missing)}")
    con, outcomes = staging.con, []
    for file in files:
        name = file.layout.table.name
        outcomes.append(staging.admit(file, name))
        staging.make_known(name, "Store", name)
    con.execute(_CALENDAR)
    into.mkdir()
    for layout, query in _QUERIES:
        write_raw(con, layout, query, into)
    return Adapted(tuple(outcomes), _notes(con))


#: Stores with their first day and Sunday habit; their days with what is special about them.
_CALENDAR = """
    create temp table shops as
    select Store, min(Date) as first_day, max(Date) as last_day,
        coalesce(avg(Open) filter (where isodow(Date) = 7) > 0.5, false) as opens_sunday
    from train group by Store;

    create temp table days as
    select distinct Store as place, Date as day, datediff('day', date '2000-01-01', Date) as step, Promo, StateHoliday,
        SchoolHoliday
    from train;

    create temp table absences as
    select place, day, case when Open is null then 'absent' when Open = 0 then 'closed' end as flag,
        row_number() over (partition by place order by day) as step
    from (
        select Store as place, opens_sunday,
            unnest(generate_series(first_day, last_day, interval 1 day))::date as day
        from shops
    ) left join (select Store, Date, max(Open) as Open from train group by all) on Store = place and Date = day
    where opens_sunday or isodow(day) < 7
"""

_PROFILE_KNOWN = "cast(first_day as timestamp) - interval 1 day"


def _runs(flag: str, kind: str) -> str:
    """Runs of a flag of the days."""
    return runs_query(f"(select place, day, step, {flag} as flag from days)", place="store_id", kind=kind)


_PROMOTIONS = f"""
    select id as promo_id, store_id, null as region, null as sku_id, null as category, starts_on, ends_on,
        'leaflet' as mechanic, {PROMO_DISCOUNT} as discount, 'planned' as status,
        {announced("starts_on")} as announced_at
    from ({_runs("case when Promo = 1 then 'on' end", "promo")})
    union all
    select 'promo2-' || starts_on || '-' || Store, Store, null, null, null, starts_on, last_day(starts_on),
        'coupon', {PROMO2_DISCOUNT}, 'planned', {announced("starts_on")}
    from (
        -- The Monday of an ISO week: 4 January is in the first.
        select Store, Promo2, PromoInterval, last_day as data_end,
            date_trunc('week', make_date(Promo2SinceYear, 1, 4)) + to_days(7 * (Promo2SinceWeek::int - 1)) as since,
            unnest(generate_series(date_trunc('month', first_day), last_day, interval 1 month))::date as starts_on
        from store join shops using (Store)
    )
    where Promo2 = 1 and starts_on >= since
        and list_contains(string_split(replace(PromoInterval, 'Sept', 'Sep'), ','), strftime(starts_on, '%b'))
    order by promo_id
"""

_EVENTS = f"""
    select id as event_id, kind, null as region, store_id, name, starts_on, ends_on,
        {announced("starts_on")} as known_at
    from (
        select id, 'public_holiday' as kind, store_id, {_worded("flag", _HOLIDAYS)} as name, starts_on, ends_on
        from ({_runs("nullif(StateHoliday, '0')", "state")})
        union all
        select id, 'school_holiday', store_id, 'School holidays', starts_on, ends_on
        from ({_runs("case when SchoolHoliday = 1 then 'on' end", "school")})
        union all
        select id, 'closure', store_id, {_worded("flag", _CLOSURES)}, starts_on, ends_on
        from ({runs_query("absences", place="store_id", kind="shut")})
    )
    order by event_id
"""

_QUERIES = (
    (
        demand.STORES,
        f"""
        select Store as store_id, 'Store ' || Store as store_name, StoreType || Assortment as region,
            null as clientele, StoreType as store_type, {_worded("Assortment", _ASSORTMENTS)} as assortment,
            null as surface_m2, CompetitionDistance as competition_distance_m,
            make_date(CompetitionOpenSinceYear, CompetitionOpenSinceMonth, 1) as competition_opened_on,
            opens_sunday, first_day as opened_on, null as closed_on, {_PROFILE_KNOWN} as known_at
        from store join shops using (Store) order by Store
        """,
    ),
    (
        demand.PRODUCTS,
        f"""
        select '{PRODUCT}' as sku_id, 'All products' as product_name, 'all' as category, null as subcategory,
            null as brand, null as price_band, null as pack_size, null as list_price_eur,
            min(first_day) as launched_on, null as delisted_on, min({_PROFILE_KNOWN}) as known_at
        from shops having count(*) > 0
        """,
    ),
    (
        demand.SALES,
        f"""
        select Store as store_id, '{PRODUCT}' as sku_id, Date as sold_on, Sales as quantity,
            Sales as revenue_eur, false as stocked_out, null as on_hand, {END_OF_DAY.format(day="Date")} as known_at
        from train where Open = 1 order by Store, Date
        """,
    ),
    (demand.PROMOTIONS, _PROMOTIONS),
    (demand.WEATHER_OBSERVED, no_rows(demand.WEATHER_OBSERVED)),
    (demand.WEATHER_FORECASTS, no_rows(demand.WEATHER_FORECASTS)),
    (demand.CALENDAR_EVENTS, _EVENTS),
    (
        demand.CUSTOMERS,
        f"""
        select Store as store_id, Date as counted_on, Customers as customers,
            {END_OF_DAY.format(day="Date")} as known_at
        from train where Open = 1 and Customers is not null order by Store, Date
        """,
    ),
)  # fmt: skip


def _notes(con: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    """Say what was read into the files."""
    empty, absent, stores = con.execute(
        "select (select count(*) from train where Open = 1 and Sales = 0),"
        " (select count(*) from absences where flag = 'absent'),"
        " (select count(distinct place) from absences where flag = 'absent')"
    ).fetchall()[0]
    return (
        f"{empty} days were open without turnover: rows with quantity 0",
        f"{absent} days that {stores} stores lack between their first and last one: taken as closures",
    )


ADAPTER = Adapter(LAYOUTS, adapt, ignored=IGNORED)
