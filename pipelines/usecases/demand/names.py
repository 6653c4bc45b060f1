"""What people call stores and products."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from pipelines.io.lake import Lake
from pipelines.io.newest import newest_texts


@dataclass(frozen=True)
class Names:
    """Names by id; an id without a name stands for itself."""

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
        stores=newest_texts(lake, "raw/demand_stores", "store_id", "store_name", as_of),
        products=newest_texts(lake, "raw/demand_products", "sku_id", "product_name", as_of),
    )
