"""Raw layouts of the demand use case: what a retail chain's systems deliver.

Two times run through every table. The *business* time of a row (``sold_on``, ``valid_on``,
``starts_on``) says which day it is about; the *known* time (``known_at``, ``announced_at`` of
promotions, ``issued_at`` of weather forecasts) says when the chain had it. A feature at ``as_of``
uses rows whose known time lies before the start of that day, so yesterday's sales count where the
tills reported them in the evening, and next month's promotion counts where it had been announced.
"""

from __future__ import annotations

from features.schemas import KNOWN_AT, Column, Table, day, flag, integer, number, text, timestamp
from pipelines.sources.layout import History, Period, RawLayout, RowRule

CLIENTELES = ("tourist", "residential", "mixed")
PRICE_BANDS = ("low", "mid", "high")
MECHANICS = ("price_off", "multi_buy", "display", "leaflet", "coupon")
PROMOTION_STATUSES = ("planned", "cancelled")
EVENT_KINDS = ("public_holiday", "school_holiday", "local_event", "closure")


def _text(name: str, words: str, allowed: tuple[str, ...] | None = None) -> Column:
    return text(name, f"{words}; null if not stated.", nullable=True, allowed=allowed)


def _amount(name: str, words: str, unit: str | None = None) -> Column:
    """Number from 0 that may be absent."""
    return number(name, words, unit=unit, nullable=True, minimum=0)


def _weather(when: str) -> tuple[Column, Column]:
    return (
        number("temperature_c", f"Highest temperature {when}.", unit="deg C", minimum=-60, maximum=60),
        number("rain_mm", f"Precipitation {when}.", unit="mm", minimum=0),
    )


STORE_ID = text("store_id", "Store.")
SKU_ID = text("sku_id", "Product (stock keeping unit).")
REGION = text("region", "Region, the level between the nation and the stores.")

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
            text("store_name", "Name of the store."),
            REGION,
            _text("clientele", "Who shops there", allowed=CLIENTELES),
            _text("store_type", "Format of the store"),
            _text("assortment", "Range it carries"),
            _amount("surface_m2", "Sales area; null if not stated.", "m2"),
            _amount("competition_distance_m", "Way to the nearest competitor; null if not stated.", "m"),
            day(
                "competition_opened_on",
                "Day the nearest competitor opened; null if unknown or none.",
                nullable=True,
            ),
            flag("opens_sunday", "Whether the store usually opens on Sundays."),
            day("opened_on", "First day of trade."),
            day("closed_on", "Last day of trade, also if planned; null while none is set.", nullable=True),
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
            text("product_name", "Name of the product."),
            text("category", "Category."),
            _text("subcategory", "Finer category"),
            _text("brand", "Brand"),
            _text("price_band", "Price level within the category", allowed=PRICE_BANDS),
            _amount("pack_size", "Content in the category's unit (g, ml or pieces); null if not stated."),
            _amount("list_price_eur", "Regular shelf price from `known_at` on; null if unknown.", "EUR"),
            day("launched_on", "First day on sale anywhere."),
            day("delisted_on", "Last day on sale, also if planned; null while none is set.", nullable=True),
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
            day("sold_on", "Day of the sales."),
            number("quantity", "Units sold that day.", unit="units", minimum=0),
            _amount(
                "revenue_eur", "Paid for them, after discounts; null if the source does not tell.", "EUR"
            ),
            flag(
                "stocked_out", "Whether the product ran out during the day: demand was at least `quantity`."
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
            text("promo_id", "Key of the promotion."),
            text("store_id", "The one store it runs in; null for several.", nullable=True),
            text("region", "The region it runs in; null for all.", nullable=True),
            text("sku_id", "The one product in promotion; null for several.", nullable=True),
            text("category", "The category in promotion; null for all.", nullable=True),
            day("starts_on", "First day."),
            day("ends_on", "Last day, included."),
            text("mechanic", "What shoppers see.", allowed=MECHANICS),
            number(
                "discount", "Reduction as a share of the regular price.", unit="share", minimum=0, maximum=1
            ),
            text("status", "Whether it takes place.", allowed=PROMOTION_STATUSES),
            timestamp("announced_at", "When this version was announced (UTC): its known time."),
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
        columns=(REGION, day("observed_on", "Day of the measurement."), *_weather("of the day"), KNOWN_AT),
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
            timestamp("issued_at", "When it was issued (UTC): its known time."),
            day("valid_on", "Day that it is for."),
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
            text("event_id", "Key of the event."),
            text(
                "kind", "Kind of the event; `closure`: the stores concerned do not open.", allowed=EVENT_KINDS
            ),
            text("region", "Region concerned; null for all.", nullable=True),
            text("store_id", "The one store concerned; null for several.", nullable=True),
            text("name", "Name of the event."),
            day("starts_on", "First day."),
            day("ends_on", "Last day, included."),
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
            day("counted_on", "Day of the count."),
            integer("customers", "Customers who paid that day.", unit="customers", minimum=0),
            KNOWN_AT,
        ),
        key=("store_id", "counted_on"),
    ),
    history=History.IMMUTABLE,
    references=(_STORE,),
    periods=(Period("counted_on", "store_id", "stores", "opened_on", "closed_on"),),
    rules=(RowRule("known_at", "be after the start of counted_on", "known_at > counted_on"),),
)

_EXPIRES_ON = day(
    "expires_on", "Last day on which it may be sold; null if unknown or it keeps.", nullable=True
)
_UNITS = number("units", "Units.", unit="units", minimum=0)
_ORDER_ID = text("order_id", "Order that it belongs to.")


def _stock_event(
    name: str, description: str, key: tuple[str, ...], on: Column, *columns: Column
) -> RawLayout:
    """What happened to a store's stock of a product on a day; its key is the day and more."""
    return RawLayout(
        Table(
            name=name,
            description=description,
            columns=(STORE_ID, SKU_ID, on, *columns, KNOWN_AT),
            key=("store_id", "sku_id", on.name, *key),
        ),
        history=History.IMMUTABLE,
        month_of=on.name,
        references=(_STORE, _SKU),
        rules=(RowRule("known_at", f"be after the start of {on.name}", f"known_at > {on.name}"),),
    )


STOCK = _stock_event(
    "stock",
    "Units on hand when a store closed, counted or as its system has them. The newest count before a day and"
    " what was sold, delivered and written off since is the stock of its morning."
    " One row per store, product, day and lot.",
    ("lot",),
    day("counted_on", "Day of the count, after its sales."),
    text("lot", "Units that expire together; one word, for instance `all`, without lots."),
    number("on_hand", "Units.", unit="units", minimum=0),
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
            day("ordered_on", "Day of the order."),
            day("due_on", "Day of the delivery, before the doors open."),
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
    day("delivered_on", "Day of the delivery."),
    _ORDER_ID,
    _UNITS,
    _EXPIRES_ON,
)

WRITE_OFFS = _stock_event(
    "write_offs",
    "Units thrown away. One row per store, product, day and cause.",
    ("cause",),
    day("written_off_on", "Day."),
    text("cause", "Why.", allowed=("expired", "damaged", "other")),
    _UNITS,
)

#: What is known of the stock of stores; no forecast uses it.
STOCK_LAYOUTS = (STOCK, OPEN_ORDERS, DELIVERIES, WRITE_OFFS)

#: In landing order: referenced tables first.
LAYOUTS: tuple[RawLayout, ...] = (
    STORES, PRODUCTS, SALES, PROMOTIONS, WEATHER_OBSERVED, WEATHER_FORECASTS, CALENDAR_EVENTS, CUSTOMERS,
    *STOCK_LAYOUTS,
)  # fmt: skip
