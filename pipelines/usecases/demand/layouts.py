"""Raw layouts of the demand use case: what a retail chain's systems deliver.

Two times run through every table. The *business* time of a row (``sold_on``, ``valid_on``,
``starts_on``) says which day it is about; the *known* time (``known_at``, ``announced_at`` of
promotions, ``issued_at`` of weather forecasts) says when the chain had it. A feature at ``as_of``
uses rows whose known time lies before the start of that day, so yesterday's sales count where the
tills reported them in the evening, and next month's promotion counts where it had been announced.

The adapter ``long`` reads any table of daily series instead, as ``series`` (``unique_id, ds, y``) and
``hierarchy`` (``unique_id, region, store_id, sku_id`` and, if it likes, ``category``), each as CSV or Parquet.
What the source lacks is not invented; the rules:

- A value is the quantity sold that day and known at its end; a row with 0 stays a row, a row without
  a value is a day that was not reported. Values below 0 are quarantined.
- A series is one product in one store, a store lies in one region and a product in one category
  (``all`` where none is given).
- Profiles are known the day before the first value. There are no prices, promotions, weather, events
  or stock-out flags: those files are empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from features.schemas import Column, DType, Table
from pipelines.errors import DataContractError
from pipelines.sources.adapter import END_OF_DAY, Adapted, no_rows, refuse_several, write_raw
from pipelines.sources.delivery import DeliveredFile
from pipelines.sources.layout import History, Period, RawLayout, RowRule
from pipelines.sources.staging import Staging

CLIENTELES = ("tourist", "residential", "mixed")
PRICE_BANDS = ("low", "mid", "high")
MECHANICS = ("price_off", "multi_buy", "display", "leaflet", "coupon")
PROMOTION_STATUSES = ("planned", "cancelled")
EVENT_KINDS = ("public_holiday", "school_holiday", "local_event", "closure")


def _text(name: str, words: str, allowed: tuple[str, ...] | None = None) -> Column:
    """Text that may be absent."""
    return Column(name, DType.STRING, f"{words}; null if not stated.", nullable=True, allowed=allowed)


def _amount(name: str, words: str, unit: str | None = None) -> Column:
    """Number from 0 that may be absent."""
    return Column(name, DType.NUMBER, words, unit=unit, nullable=True, minimum=0)


def _day(name: str, words: str) -> Column:
    """Day that may be absent."""
    return Column(name, DType.DATE, words, nullable=True)


def _known(name: str, words: str) -> Column:
    return Column(name, DType.TIMESTAMP, words, unit="UTC")


def _weather(day: str) -> tuple[Column, Column]:
    return (
        Column(
            "temperature_c",
            DType.NUMBER,
            f"Highest temperature {day}.",
            unit="deg C",
            minimum=-60,
            maximum=60,
        ),
        Column("rain_mm", DType.NUMBER, f"Precipitation {day}.", unit="mm", minimum=0),
    )


STORE_ID = Column("store_id", DType.STRING, "Store.")
SKU_ID = Column("sku_id", DType.STRING, "Product (stock keeping unit).")
REGION = Column("region", DType.STRING, "Region, the level between the nation and the stores.")
KNOWN_AT = _known("known_at", "When the source system had recorded this row (UTC).")

_STORE = ("store_id", "stores", "store_id")
_SKU = ("sku_id", "products", "sku_id")
_ENDS_AFTER_START = RowRule("ends_on", "not be before starts_on", "ends_on >= starts_on")
_ONE_PLACE = RowRule("region", "be null where a store is given", "region is null or store_id is null")

STORES = RawLayout(
    Table(
        name="stores",
        description="Profile of a store as known from `known_at` on. One row per store and version.",
        columns=(
            STORE_ID,
            Column("store_name", DType.STRING, "Name of the store."),
            REGION,
            _text("clientele", "Who shops there", allowed=CLIENTELES),
            _text("store_type", "Format of the store"),
            _text("assortment", "Range it carries"),
            _amount("surface_m2", "Sales area; null if not stated.", "m2"),
            _amount("competition_distance_m", "Way to the nearest competitor; null if not stated.", "m"),
            _day("competition_opened_on", "Day the nearest competitor opened; null if unknown or none."),
            Column("opens_sunday", DType.BOOLEAN, "Whether the store usually opens on Sundays."),
            Column("opened_on", DType.DATE, "First day of trade."),
            _day("closed_on", "Last day of trade, also if planned; null while none is set."),
            KNOWN_AT,
        ),
        key=("store_id", "known_at"),
    ),
    history=History.VERSIONED,
    # Not "known_at >= opened_on": an opening is planned, and a closure announced.
    rules=(RowRule("closed_on", "not be before opened_on", "closed_on >= opened_on"),),
)

PRODUCTS = RawLayout(
    Table(
        name="products",
        description=(
            "Product as known from `known_at` on; a change of its price is a further version. "
            "One row per product and version."
        ),
        columns=(
            SKU_ID,
            Column("product_name", DType.STRING, "Name of the product."),
            Column("category", DType.STRING, "Category."),
            _text("subcategory", "Finer category"),
            _text("brand", "Brand"),
            _text("price_band", "Price level within the category", allowed=PRICE_BANDS),
            _amount("pack_size", "Content in the category's unit (g, ml or pieces); null if not stated."),
            _amount("list_price_eur", "Regular shelf price from `known_at` on; null if unknown.", "EUR"),
            Column("launched_on", DType.DATE, "First day on sale anywhere."),
            _day("delisted_on", "Last day on sale, also if planned; null while none is set."),
            KNOWN_AT,
        ),
        key=("sku_id", "known_at"),
    ),
    history=History.VERSIONED,
    rules=(RowRule("delisted_on", "not be before launched_on", "delisted_on >= launched_on"),),
)

SALES = RawLayout(
    Table(
        name="sales",
        description=(
            "Units sold by product. A day without a row of the product sold none if the store has any row of"
            " that day, and is not reported (yet) otherwise. One row per store, product and day of a sale or"
            " a stock-out."
        ),
        columns=(
            STORE_ID,
            SKU_ID,
            Column("sold_on", DType.DATE, "Day of the sales."),
            Column("quantity", DType.NUMBER, "Units sold that day.", unit="units", minimum=0),
            _amount(
                "revenue_eur", "Paid for them, after discounts; null if the source does not tell.", "EUR"
            ),
            Column(
                "stocked_out",
                DType.BOOLEAN,
                "Whether the product ran out during the day: demand was at least `quantity`.",
            ),
            _amount("on_hand", "Stock at the end of the day; null if not counted.", "units"),
            KNOWN_AT,
        ),
        key=("store_id", "sku_id", "sold_on"),
    ),
    history=History.IMMUTABLE,
    month_of="sold_on",
    references=(_STORE, _SKU),
    periods=(Period("sold_on", "store_id", "stores", "opened_on", "closed_on"),),
    rules=(
        RowRule("known_at", "be after the start of sold_on", "known_at > sold_on"),
        RowRule("revenue_eur", "be 0 where nothing was sold", "revenue_eur = 0 or quantity > 0"),
    ),
)

PROMOTIONS = RawLayout(
    Table(
        name="promotions",
        description=(
            "Promotions as announced at `announced_at`: a change or cancellation is a further version. The"
            " columns of its scope narrow it down: all null is everything, everywhere."
            " One row per promotion and version."
        ),
        columns=(
            Column("promo_id", DType.STRING, "Key of the promotion."),
            Column("store_id", DType.STRING, "The one store it runs in; null for several.", nullable=True),
            Column("region", DType.STRING, "The region it runs in; null for all.", nullable=True),
            Column("sku_id", DType.STRING, "The one product in promotion; null for several.", nullable=True),
            Column("category", DType.STRING, "The category in promotion; null for all.", nullable=True),
            Column("starts_on", DType.DATE, "First day."),
            Column("ends_on", DType.DATE, "Last day, included."),
            Column("mechanic", DType.STRING, "What shoppers see.", allowed=MECHANICS),
            Column(
                "discount",
                DType.NUMBER,
                "Reduction as a share of the regular price.",
                unit="share",
                minimum=0,
                maximum=1,
            ),
            Column("status", DType.STRING, "Whether it takes place.", allowed=PROMOTION_STATUSES),
            _known("announced_at", "When this version was announced (UTC): its known time."),
        ),
        key=("promo_id", "announced_at"),
    ),
    history=History.VERSIONED,
    known="announced_at",
    references=(_STORE, _SKU, ("region", "stores", "region"), ("category", "products", "category")),
    rules=(
        _ENDS_AFTER_START,
        RowRule("announced_at", "not be after ends_on", "announced_at < ends_on + 1"),
        _ONE_PLACE,
        RowRule("category", "be null where a product is given", "category is null or sku_id is null"),
    ),
)

WEATHER_OBSERVED = RawLayout(
    Table(
        name="weather_observed",
        description="Weather as measured. One row per region and day.",
        columns=(
            REGION,
            Column("observed_on", DType.DATE, "Day of the measurement."),
            *_weather("of the day"),
            KNOWN_AT,
        ),
        key=("region", "observed_on"),
    ),
    history=History.IMMUTABLE,
    rules=(RowRule("known_at", "be after the start of observed_on", "known_at > observed_on"),),
)

WEATHER_FORECASTS = RawLayout(
    Table(
        name="weather_forecasts",
        description="Weather as forecast at `issued_at`. One row per region, issue and day that it is for.",
        columns=(
            REGION,
            _known("issued_at", "When it was issued (UTC): its known time."),
            Column("valid_on", DType.DATE, "Day that it is for."),
            *_weather("expected of the day"),
        ),
        key=("region", "issued_at", "valid_on"),
    ),
    history=History.IMMUTABLE,
    known="issued_at",
    rules=(RowRule("valid_on", "not be before the day of issued_at", "valid_on >= issued_at::date"),),
)

CALENDAR_EVENTS = RawLayout(
    Table(
        name="calendar_events",
        description=(
            "Days on which people shop differently, as known from `known_at` on; a moved event is a further"
            " version. One row per event and version."
        ),
        columns=(
            Column("event_id", DType.STRING, "Key of the event."),
            Column(
                "kind",
                DType.STRING,
                "Kind of the event; `closure`: the stores concerned do not open.",
                allowed=EVENT_KINDS,
            ),
            Column("region", DType.STRING, "Region concerned; null for all.", nullable=True),
            Column("store_id", DType.STRING, "The one store concerned; null for several.", nullable=True),
            Column("name", DType.STRING, "Name of the event."),
            Column("starts_on", DType.DATE, "First day."),
            Column("ends_on", DType.DATE, "Last day, included."),
            KNOWN_AT,
        ),
        key=("event_id", "known_at"),
    ),
    history=History.VERSIONED,
    # No reference for the region: public calendars cover regions without a store as well.
    references=(_STORE,),
    rules=(_ENDS_AFTER_START, _ONE_PLACE),
)

CUSTOMERS = RawLayout(
    Table(
        name="customers",
        description=(
            "Customers that the tills counted, for chains that count them. They are known afterwards only, so"
            " forecasts do not use them. One row per store and day."
        ),
        columns=(
            STORE_ID,
            Column("counted_on", DType.DATE, "Day of the count."),
            Column("customers", DType.INTEGER, "Customers who paid that day.", unit="customers", minimum=0),
            KNOWN_AT,
        ),
        key=("store_id", "counted_on"),
    ),
    history=History.IMMUTABLE,
    references=(_STORE,),
    periods=(Period("counted_on", "store_id", "stores", "opened_on", "closed_on"),),
    rules=(RowRule("known_at", "be after the start of counted_on", "known_at > counted_on"),),
)

_EXPIRES_ON = _day("expires_on", "Last day on which it may be sold; null if unknown or it keeps.")
_UNITS = Column("units", DType.NUMBER, "Units.", unit="units", minimum=0)
_ORDER_ID = Column("order_id", DType.STRING, "Order that it belongs to.")


def _stock_event(
    name: str, description: str, key: tuple[str, ...], day: Column, *columns: Column
) -> RawLayout:
    """What happened to a store's stock of a product on a day; its key is the day and more."""
    return RawLayout(
        Table(
            name=name,
            description=description,
            columns=(STORE_ID, SKU_ID, day, *columns, KNOWN_AT),
            key=("store_id", "sku_id", day.name, *key),
        ),
        history=History.IMMUTABLE,
        month_of=day.name,
        references=(_STORE, _SKU),
        rules=(RowRule("known_at", f"be after the start of {day.name}", f"known_at > {day.name}"),),
    )


STOCK = _stock_event(
    "stock",
    "Units on hand when a store closed, counted or as its system has them. The newest count before a day and"
    " what was sold, delivered and written off since is the stock of its morning."
    " One row per store, product, day and lot.",
    ("lot",),
    Column("counted_on", DType.DATE, "Day of the count, after its sales."),
    Column("lot", DType.STRING, "Units that expire together; one word, for instance `all`, without lots."),
    Column("on_hand", DType.NUMBER, "Units.", unit="units", minimum=0),
    _EXPIRES_ON,
)

OPEN_ORDERS = RawLayout(
    Table(
        name="open_orders",
        description=(
            "Orders on their way as known from `known_at` on: a change is a further version, 0 units cancel."
            " One row per order, store, product and version."
        ),
        columns=(
            _ORDER_ID,
            STORE_ID,
            SKU_ID,
            Column("ordered_on", DType.DATE, "Day of the order."),
            Column("due_on", DType.DATE, "Day of the delivery, before the doors open."),
            _UNITS,
            KNOWN_AT,
        ),
        key=("order_id", "store_id", "sku_id", "known_at"),
    ),
    history=History.VERSIONED,
    references=(_STORE, _SKU),
    rules=(RowRule("due_on", "not be before ordered_on", "due_on >= ordered_on"),),
)

DELIVERIES = _stock_event(
    "deliveries",
    "Units that arrived, before the doors opened. One row per store, product, day and order.",
    ("order_id",),
    Column("delivered_on", DType.DATE, "Day of the delivery."),
    _ORDER_ID,
    _UNITS,
    _EXPIRES_ON,
)

WRITE_OFFS = _stock_event(
    "write_offs",
    "Units thrown away. One row per store, product, day and cause.",
    ("cause",),
    Column("written_off_on", DType.DATE, "Day."),
    Column("cause", DType.STRING, "Why.", allowed=("expired", "damaged", "other")),
    _UNITS,
)

#: What is known of the stock of stores; no forecast uses it.
STOCK_LAYOUTS = (STOCK, OPEN_ORDERS, DELIVERIES, WRITE_OFFS)

#: In landing order: referenced tables first.
LAYOUTS: tuple[RawLayout, ...] = (
    STORES, PRODUCTS, SALES, PROMOTIONS, WEATHER_OBSERVED, WEATHER_FORECASTS, CALENDAR_EVENTS, CUSTOMERS,
    *STOCK_LAYOUTS,
)  # fmt: skip

# ------------------------------------------------------------------------------------ the adapter long

_ID = Column("unique_id", DType.STRING, "Series.")

HIERARCHY = RawLayout(
    Table(
        "hierarchy",
        "Place of each series in the hierarchy. One row per series.",
        (
            _ID,
            Column("region", DType.STRING, "Region of the store."),
            Column("store_id", DType.STRING, "Store."),
            Column("sku_id", DType.STRING, "Product."),
            Column("category", DType.STRING, "Category of the product; null if none.", nullable=True),
        ),
        key=("unique_id",),
    ),
    history=History.IMMUTABLE,
    optional=("category",),
)
SERIES = RawLayout(
    Table(
        "series",
        "Daily values. One row per series and day.",
        (
            _ID,
            Column("ds", DType.DATE, "Day."),
            Column("y", DType.NUMBER, "Units sold; null if not reported.", nullable=True, minimum=0),
        ),
        key=("unique_id", "ds"),
    ),
    history=History.IMMUTABLE,
    references=(("unique_id", "hierarchy", "unique_id"),),
)

#: Of the adapter ``long``, in reading order.
LONG_LAYOUTS = (HIERARCHY, SERIES)


def adapt_long(staging: Staging, files: Sequence[DeliveredFile], into: Path) -> Adapted:
    """Write long series as files in the raw layouts of demand.

    Parameters
    ----------
    staging
        Scratch space of the ingest; rows that break a rule go to its quarantine.
    files
        The two tables, checked; each may be several files.
    into
        Folder for the adapted Parquet files. The same input gives the same bytes.

    Raises
    ------
    DataContractError
        A table is absent, cannot be read to its end, or the hierarchy is not a tree.
    """
    missing = {layout.table.name for layout in LONG_LAYOUTS} - {file.layout.table.name for file in files}
    if missing:
        raise DataContractError(f"the long layout is two tables; missing {sorted(missing)}")
    con, outcomes = staging.con, []
    for file in files:
        name = file.layout.table.name
        outcomes.append(staging.admit(file, name))
        if name == HIERARCHY.table.name:
            staging.make_known(name, "unique_id", name)
    refuse_several(con, HIERARCHY.table.name, _TREE)
    into.mkdir()
    for layout, query in _QUERIES:
        write_raw(con, layout, query, into)
    return Adapted(tuple(outcomes), ())


#: In a tree nothing has two parents, and no two series are the same one.
_TREE = (
    ("unique_id", "(store_id, sku_id)", "a series must be one product in one store"),
    ("(store_id, sku_id)", "unique_id", "a product in a store must be one series"),
    ("store_id", "region", "a store must lie in one region"),
    ("sku_id", "coalesce(category, 'all')", "a product must be in one category"),
)

_KNOWN = "cast(first_day as timestamp) - interval 1 day"
_FIRST_DAYS = "(select unique_id, min(ds) as first_day from series where y is not null group by unique_id)"

_QUERIES = (
    (
        STORES,
        f"""
        select store_id, store_id as store_name, any_value(region) as region, null as clientele,
            null as store_type, null as assortment, null as surface_m2, null as competition_distance_m,
            null as competition_opened_on, true as opens_sunday, min(first_day) as opened_on, null as closed_on,
            min({_KNOWN}) as known_at
        from hierarchy join {_FIRST_DAYS} using (unique_id) group by store_id order by store_id
        """,
    ),
    (
        PRODUCTS,
        f"""
        select sku_id, sku_id as product_name, coalesce(any_value(category), 'all') as category,
            null as subcategory, null as brand, null as price_band, null as pack_size, null as list_price_eur,
            min(first_day) as launched_on, null as delisted_on, min({_KNOWN}) as known_at
        from hierarchy join {_FIRST_DAYS} using (unique_id) group by sku_id order by sku_id
        """,
    ),
    (
        SALES,
        f"""
        select store_id, sku_id, ds as sold_on, y as quantity, null as revenue_eur, false as stocked_out,
            null as on_hand, {END_OF_DAY.format(day="ds")} as known_at
        from series join hierarchy using (unique_id) where y is not null order by store_id, sku_id, ds
        """,
    ),
    *((layout, no_rows(layout)) for layout in LAYOUTS if layout not in (STORES, PRODUCTS, SALES)),
)
