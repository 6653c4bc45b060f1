"""What the bank offers: how often each product is taken, by whom, and what else moves it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Singles = NDArray[np.float32]

NEEDS = ("everyday", "saving", "investing", "housing", "protection", "credit", "business", "digital")
EVENTS = ("birth", "move", "job", "inheritance", "retirement", "own_business")


@dataclass(frozen=True)
class Product:
    """A product of the bank.

    Attributes
    ----------
    name
    monthly
        Chance of a person without special needs to take it within a month.
    closes
        Chance to give it up within a month.
    needs
        Change of the log-hazard by unit of need.
    after
        The same for each product that is held.
    events
        The same right after an event.
    age
        Age at which it is taken most, and how fast that fades; (0, 0) for all ages alike.
    income
        Change of the log-hazard by the log of the income, as far as a factor e from the usual one.
    cash
        The same by the log of the cash at hand.
    balance
        Typical balance in months of income: negative if owed, 0 without.
    """

    name: str
    monthly: float
    closes: float
    needs: dict[str, float]
    after: dict[str, float] = field(default_factory=dict)
    events: dict[str, float] = field(default_factory=dict)
    age: tuple[float, float] = (0.0, 0.0)
    income: float = 0.0
    cash: float = 0.0
    balance: float = 0.0


PRODUCTS = (
    Product("current account", 0.060, 0.0012, {"everyday": 0.6}, balance=0.9),
    Product("debit card", 0.040, 0.0020, {"everyday": 0.6}, {"current account": 1.6}),
    Product("mobile banking", 0.0120, 0.0030, {"digital": 1.1}, {"current account": 0.9}, age=(28, 22)),
    Product(
        "credit card",
        0.0040,
        0.0050,
        {"everyday": 0.8, "credit": 0.5},
        {"debit card": 0.5},
        {"job": 1.2},
        (38, 18),
        0.4,
    ),
    Product(
        "premium card",
        0.0012,
        0.0090,
        {"everyday": 0.7, "investing": 0.4},
        {"credit card": 0.9},
        {"job": 1.0},
        (46, 14),
        1.3,
    ),
    Product(
        "overdraft",
        0.0040,
        0.0080,
        {"credit": 1.0},
        {"current account": 0.5},
        {"move": 0.6},
        (29, 14),
        -0.3,
        -0.5,
        -0.3,
    ),
    Product(
        "savings account",
        0.0090,
        0.0040,
        {"saving": 0.9},
        {"current account": 0.4},
        {"birth": 0.6},
        cash=0.4,
        balance=3.0,
    ),
    Product(
        "term deposit",
        0.0022,
        0.0200,
        {"saving": 1.0},
        {"savings account": 0.6},
        {"inheritance": 2.2, "retirement": 0.9},
        (64, 16),
        0.2,
        0.8,
        8.0,
    ),
    Product(
        "building savings",
        0.0024,
        0.0080,
        {"housing": 0.8, "saving": 0.5},
        {"savings account": 0.4},
        {"birth": 0.7},
        (29, 9),
        0.2,
        0.2,
        2.5,
    ),
    Product(
        "children savings",
        0.0008,
        0.0050,
        {"saving": 0.7},
        {"savings account": 0.3},
        {"birth": 3.0},
        (34, 7),
        0.2,
        0.2,
        1.2,
    ),
    Product(
        "securities account",
        0.0020,
        0.0040,
        {"investing": 1.2},
        {},
        {"inheritance": 1.6},
        (47, 18),
        0.7,
        0.6,
        9.0,
    ),
    Product(
        "fund savings plan",
        0.0026,
        0.0090,
        {"investing": 1.0, "saving": 0.3},
        {"securities account": 1.2},
        {"job": 0.8},
        (37, 13),
        0.5,
        0.3,
        3.0,
    ),
    Product(
        "robo adviser",
        0.0010,
        0.0120,
        {"investing": 0.8, "digital": 0.9},
        {"mobile banking": 0.8},
        {},
        (31, 9),
        0.4,
        0.3,
        2.5,
    ),
    Product(
        "gold account",
        0.0006,
        0.0070,
        {"investing": 0.9},
        {"securities account": 0.7},
        {"inheritance": 1.8},
        (60, 14),
        0.3,
        0.7,
        4.0,
    ),
    Product(
        "mortgage",
        0.0011,
        0.0030,
        {"housing": 1.2},
        {"building savings": 1.0},
        {"move": 2.6, "birth": 0.9},
        (36, 8),
        0.9,
        0.0,
        -48.0,
    ),
    Product(
        "home insurance",
        0.0022,
        0.0050,
        {"housing": 0.8, "protection": 0.6},
        {"mortgage": 1.9},
        {"move": 1.8},
        (42, 18),
        0.2,
    ),
    Product(
        "renovation loan",
        0.0007,
        0.0180,
        {"housing": 1.0, "credit": 0.4},
        {"mortgage": 1.4},
        {"move": 1.0},
        (50, 12),
        0.2,
        -0.2,
        -7.0,
    ),
    Product(
        "liability insurance",
        0.0040,
        0.0040,
        {"protection": 1.0},
        {"home insurance": 0.6},
        {"birth": 0.8, "move": 0.7},
    ),
    Product(
        "life insurance",
        0.0014,
        0.0040,
        {"protection": 1.2},
        {"mortgage": 1.0, "children savings": 0.6},
        {"birth": 1.9},
        (38, 9),
        0.3,
    ),
    Product(
        "pension plan",
        0.0020,
        0.0040,
        {"protection": 0.8, "saving": 0.5},
        {"fund savings plan": 0.5},
        {"job": 1.5, "retirement": -3.0},
        (39, 10),
        0.5,
        0.0,
        6.0,
    ),
    Product(
        "personal loan",
        0.0020,
        0.0300,
        {"credit": 1.2},
        {"overdraft": 0.9},
        {"move": 0.9, "birth": 0.5},
        (36, 14),
        -0.1,
        -0.5,
        -5.0,
    ),
    Product(
        "car loan",
        0.0014,
        0.0240,
        {"credit": 1.0},
        {"personal loan": -0.8},
        {"job": 1.6, "birth": 0.7},
        (37, 13),
        0.4,
        -0.2,
        -6.0,
    ),
    Product(
        "business account",
        0.0006,
        0.0060,
        {"business": 1.8},
        {},
        {"own_business": 3.0},
        (41, 13),
        0.3,
        0.0,
        2.5,
    ),
    Product(
        "card terminal", 0.0004, 0.0080, {"business": 1.5}, {"business account": 2.6}, {"own_business": 1.0}
    ),
)

NAMES = tuple(product.name for product in PRODUCTS)
N_PRODUCTS = len(PRODUCTS)


def _table(rows: list[dict[str, float]], columns: tuple[str, ...]) -> Singles:
    return np.array([[row.get(name, 0.0) for name in columns] for row in rows], dtype=np.float32)


BASE = np.log(np.array([product.monthly for product in PRODUCTS], dtype=np.float32))
CLOSES = np.array([product.closes for product in PRODUCTS], dtype=np.float32)
#: Rows are needs, products held, or events; columns are the products that they move.
BY_NEED = _table([product.needs for product in PRODUCTS], NEEDS).T.copy()
BY_HELD = _table([product.after for product in PRODUCTS], NAMES).T.copy()
BY_EVENT = _table([product.events for product in PRODUCTS], EVENTS).T.copy()
INCOME = np.array([product.income for product in PRODUCTS], dtype=np.float32)
CASH = np.array([product.cash for product in PRODUCTS], dtype=np.float32)
AGE = np.array([product.age[0] for product in PRODUCTS], dtype=np.float32)
AGE_WIDTH = np.array([product.age[1] or np.inf for product in PRODUCTS], dtype=np.float32)
BALANCE = np.array([product.balance for product in PRODUCTS], dtype=np.float32)
