"""Names of stores and products, as far as they were known on a day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

import pyarrow.dataset as pa_dataset

from pipelines.io.lake import Lake

_STORES, _PRODUCTS = "raw/demand_stores", "raw/demand_products"


@dataclass(frozen=True)
class Names:
    """What people call stores and products, by id; an id without a name stands for itself.

    Attributes
    ----------
    stores, products
        Name by id.
    """

    stores: Mapping[str, str]
    products: Mapping[str, str]

    def store(self, store_id: str) -> str:
        """Name of a store."""
        return self.stores.get(store_id) or store_id

    def store_with_id(self, store_id: str) -> str:
        """Id and name of a store; the id alone if it has no name."""
        name = self.store(store_id)
        return store_id if name == store_id else f"{store_id} {name}"

    def product(self, sku_id: str) -> str:
        """Name of a product."""
        return self.products.get(sku_id) or sku_id

    def series(self, store_id: str, sku_id: str) -> str:
        """Product in a store."""
        return f"{self.product(sku_id)}, {self.store(store_id)}"

    def node(self, level: str, node: str) -> str:
        """Node of any level."""
        if level == "national":
            return "All stores"
        if level == "sku_store":
            store, _, sku = node.partition("/")
            return self.series(store, sku)
        return self.store(node) if level == "store" else self.product(node) if level == "sku" else node


def read_names(lake: Lake, as_of: date) -> Names:
    """Newest names known before a day; empty if stores and products were never delivered."""
    return Names(
        _newest(lake, _STORES, "store_id", "store_name", as_of),
        _newest(lake, _PRODUCTS, "sku_id", "product_name", as_of),
    )


def _newest(lake: Lake, table: str, key: str, name: str, as_of: date) -> dict[str, str]:
    if not lake.exists(table):
        return {}
    before = pa_dataset.field("known_at") < datetime.combine(as_of, datetime.min.time())
    rows = lake.read(table, columns=[key, name, "known_at"], where=before).sort_by("known_at")
    return dict(zip(rows[key].to_pylist(), rows[name].to_pylist(), strict=True))
