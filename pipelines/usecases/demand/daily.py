"""From any table of daily series, the layout ``long``, to the raw layouts of demand.

It is delivered as ``series`` (``unique_id, ds, y``) and ``hierarchy`` (``unique_id, region, store_id, sku_id`` and, if
it likes, ``category``), each as CSV or Parquet. What the source lacks is not invented; the rules:

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

from features.schemas import Table, day, number, text
from pipelines.errors import DataContractError
from pipelines.sources.adapter import END_OF_DAY, Adapted, Adapter, no_rows, refuse_several, write_raw
from pipelines.sources.delivery import DeliveredFile
from pipelines.sources.layout import History, RawLayout
from pipelines.sources.staging import Staging
from pipelines.usecases.demand.layouts import LAYOUTS, PRODUCTS, SALES, STORES

_ID = text("unique_id", "Series.")

HIERARCHY = RawLayout(
    Table(
        "hierarchy",
        "Place of each series in the hierarchy. One row per series.",
        (
            _ID,
            text("region", "Region of the store."),
            text("store_id", "Store."),
            text("sku_id", "Product."),
            text("category", "Category of the product; null if none.", nullable=True),
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
        (_ID, day("ds", "Day."), number("y", "Units sold; null if not reported.", nullable=True, minimum=0)),
        key=("unique_id", "ds"),
    ),
    history=History.IMMUTABLE,
    references=(("unique_id", "hierarchy", "unique_id"),),
)


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


def _adapt(staging: Staging, files: Sequence[DeliveredFile], into: Path) -> Adapted:
    """Write long series as files in the raw layouts of demand; see :class:`~pipelines.sources.adapter.Adapter`.

    The same input gives the same bytes. Raises ``DataContractError`` if a table is absent or cannot be read
    to its end, or the hierarchy is not a tree.
    """
    missing = {"hierarchy", "series"} - {file.layout.table.name for file in files}
    if missing:
        raise DataContractError(f"the long layout is two tables; missing {sorted(missing)}")
    con, outcomes = staging.con, []
    for file in files:
        name = file.layout.table.name
        outcomes.append(staging.admit(file, name))
        if name == "hierarchy":
            staging.make_known(name, "unique_id", name)
    refuse_several(con, "hierarchy", _TREE)
    into.mkdir()
    for layout, query in _QUERIES:
        write_raw(con, layout, query, into)
    return Adapted(tuple(outcomes), ())


def long() -> Adapter:
    """Adapter of the layout ``long``."""
    return Adapter((HIERARCHY, SERIES), _adapt)
