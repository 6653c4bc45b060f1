"""What the shop sells: departments, aisles, products, their prices and how long a pack lasts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipelines.lab.simulation.days import DAY_US, Floats, Ints
from pipelines.lab.simulation.identifiers import identifiers

#: Products that are listed and never bought; planted bad rows name them, so that no key is taken.
NEVER_BOUGHT = 8


@dataclass(frozen=True)
class Department:
    """A department.

    Attributes
    ----------
    share
        Share of what is bought.
    lasts_days
        Days a pack lasts two people.
    loyalty
        How surely it is bought again when it has run out.
    price
        Typical price in EUR.
    summer
        How much faster it is used up in mid July than on average, on a log scale; negative in winter.
    aisles
        Its aisles.
    """

    name: str
    share: float
    lasts_days: float
    loyalty: float
    price: float
    summer: float
    aisles: tuple[str, ...]


DEPARTMENTS = (
    Department("produce", 0.27, 10, 0.62, 2.2, 0.10, ("fruit", "vegetables", "herbs", "salads")),
    Department("dairy", 0.19, 11, 0.72, 2.0, 0.0, ("milk", "yoghurt", "cheese", "eggs", "butter")),
    Department("bakery", 0.08, 8, 0.66, 2.6, 0.0, ("bread", "rolls", "pastries")),
    Department("meat and fish", 0.07, 14, 0.55, 6.5, 0.12, ("poultry", "meat", "fish", "cold cuts")),
    Department("beverages", 0.10, 16, 0.70, 3.0, 0.25, ("water", "juice", "coffee", "tea", "soft drinks")),
    Department("snacks", 0.09, 20, 0.50, 2.8, 0.0, ("crisps", "biscuits", "chocolate", "nuts")),
    Department("frozen", 0.07, 24, 0.48, 4.0, 0.30, ("ice cream", "vegetables", "meals")),
    Department("pantry", 0.07, 40, 0.42, 2.9, -0.10, ("pasta", "sauces", "tins", "oil", "spices")),
    Department("breakfast", 0.03, 30, 0.55, 3.4, -0.05, ("cereals", "spreads")),
    Department("household", 0.02, 60, 0.50, 5.0, 0.0, ("cleaning", "paper", "laundry")),
    Department("personal care", 0.01, 70, 0.45, 4.5, 0.10, ("hair", "teeth", "skin")),
)


@dataclass(frozen=True)
class Catalogue:
    """Products ``0 .. P - 1``; of all arrays an element is a product.

    Attributes
    ----------
    department, aisle
        Index of the department, and of the aisle within it.
    weight
        Share of what is tried; 0 for those that nobody buys.
    lasts, loyalty
        Days a pack lasts two people; probability that it is bought again once it has run out.
    price, price_later, repriced
        Price in EUR from the start, the one after the change, and the day of that.
    """

    ids: pa.Array
    department: Ints
    aisle: Ints
    weight: Floats
    lasts: Floats
    loyalty: Floats
    price: Floats
    price_later: Floats
    repriced: Ints

    def __len__(self) -> int:
        return len(self.department)

    @property
    def summer(self) -> Floats:
        """How much faster each product is used up in mid July, on a log scale."""
        return np.array([d.summer for d in DEPARTMENTS])[self.department]


def draw_catalogue(rng: np.random.Generator, products: int, start: int, end: int) -> Catalogue:
    """Draw the catalogue; a few products of each department sell much more than the others."""
    shares = np.array([d.share for d in DEPARTMENTS])
    # Every department has products, the large ones more.
    department = np.concatenate(
        [
            np.arange(len(DEPARTMENTS)),
            rng.choice(len(DEPARTMENTS), products - len(DEPARTMENTS), p=shares / shares.sum()),
        ]
    )
    aisles = np.array([len(d.aisles) for d in DEPARTMENTS])[department]
    weight = np.exp(rng.normal(0, 1.6, products))
    if products > NEVER_BOUGHT + len(DEPARTMENTS):
        weight[-NEVER_BOUGHT:] = 0
    within = np.bincount(department, weight, len(DEPARTMENTS))
    typical = np.array([d.price for d in DEPARTMENTS])[department]
    price = np.maximum(np.round(typical * np.exp(rng.normal(0, 0.45, products)), 1) - 0.01, 0.09)
    return Catalogue(
        ids=identifiers("P", np.arange(1, products + 1), 6),
        department=department,
        aisle=(rng.random(products) * aisles).astype(np.int64),
        weight=weight / within[department] * shares[department] / shares.sum(),
        lasts=np.array([d.lasts_days for d in DEPARTMENTS])[department]
        * np.exp(rng.normal(0, 0.4, products)),
        loyalty=np.clip(
            np.array([d.loyalty for d in DEPARTMENTS])[department] + rng.normal(0, 0.12, products), 0.1, 0.95
        ),
        price=price,
        price_later=np.round(price * rng.uniform(0.95, 1.12, products), 2),
        repriced=rng.integers(start + 30, max(end, start + 31), products),
    )


def products_table(catalogue: Catalogue, start: int) -> pa.Table:
    """Rows of the products as delivered, the change of half the prices as a further version."""
    names = np.array([d.name for d in DEPARTMENTS])
    aisles = np.array(
        [
            f"{DEPARTMENTS[d].aisles[a]} ({DEPARTMENTS[d].name})"
            for d, a in zip(catalogue.department.tolist(), catalogue.aisle.tolist(), strict=True)
        ]
    )
    titles = np.array(
        [
            f"{DEPARTMENTS[d].aisles[a].capitalize()} no. {number}"
            for number, (d, a) in enumerate(
                zip(catalogue.department.tolist(), catalogue.aisle.tolist(), strict=True), start=1
            )
        ]
    )
    changed = np.flatnonzero(np.arange(len(catalogue)) % 2 == 0)
    rows = np.concatenate([np.arange(len(catalogue)), changed])
    prices = np.concatenate([catalogue.price, catalogue.price_later[changed]])
    known = np.concatenate([np.full(len(catalogue), start - 1), catalogue.repriced[changed]]) * DAY_US
    return pa.table(
        {
            "product_id": catalogue.ids.take(pa.array(rows)),
            "product_name": titles[rows],
            "aisle": aisles[rows],
            "department": names[catalogue.department[rows]],
            "price_eur": prices,
            "known_at": known.astype("datetime64[us]"),
        }
    )
