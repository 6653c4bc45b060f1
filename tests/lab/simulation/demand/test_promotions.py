"""What a promotion does to the series that it concerns, and to no other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.lab.simulation.demand.products import Products, draw_products
from pipelines.lab.simulation.demand.promotions import (
    DIP_DAYS,
    Promotions,
    draw_promotions,
    promoted_days,
)
from pipelines.lab.simulation.demand.span import Span
from pipelines.lab.simulation.demand.stores import Stores, draw_stores

SPAN = Span(19_000, 19_400)
Chain = tuple[Stores, Products]


def rng() -> np.random.Generator:
    return np.random.default_rng(8)


@pytest.fixture(scope="module")
def chain() -> Chain:
    shares = np.array([0.1, 0.2, 0.3, 0.4])
    return draw_stores(rng(), 9, SPAN), draw_products(rng(), 60, shares, SPAN)


def single(chain: Chain, **change: object) -> Promotions:
    """One promotion of product 3, everywhere, for a week."""
    stores, products = chain
    one = {
        name: np.array([values[0]])
        for name, values in vars(draw_promotions(rng(), products, stores, SPAN)).items()
    }
    fixed = {
        "product": [3], "category": [-1], "region": [-1], "store": [-1], "first": [19_100], "last": [19_106],
        "discount": [0.25], "cancelled": [0], "uplift": [0.6],
    }  # fmt: skip
    return Promotions(**(one | {name: np.array(value) for name, value in {**fixed, **change}.items()}))  # type: ignore[arg-type]


def effects(chain: Chain, promotions: Promotions) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Effect and discount on every product in every store, shape (stores, products, days)."""
    stores, products = chain
    store = np.repeat(np.arange(len(stores)), len(products))
    product = np.tile(np.arange(len(products)), len(stores))
    days = promoted_days(rng(), promotions, products, stores, store, product, SPAN)
    shape = (len(stores), len(products), len(SPAN))
    return days.effect.reshape(shape), days.discount.reshape(shape)


def test_its_product_sells_more_during_it_and_less_after_it(chain: Chain) -> None:
    effect, discount = effects(chain, single(chain))
    during = slice(19_100 - SPAN.begin, 19_107 - SPAN.begin)
    after = slice(19_107 - SPAN.begin, 19_107 - SPAN.begin + DIP_DAYS)
    assert (effect[:, 3, during] > 0.3).all()
    assert np.allclose(discount[:, 3, during], 0.25)
    assert (effect[:, 3, after] < 0).all()
    assert (discount[:, 3, after] == 0).all()
    touched = np.zeros(effect.shape, dtype=bool)
    touched[:, 3, during.start : after.stop] = True
    assert not effect[~touched].any()
    assert not discount[~touched].any()


def test_scopes_are_kept(chain: Chain) -> None:
    stores, products = chain
    category = products.category[3]
    for change, reached in (
        ({"store": [2]}, np.arange(len(stores)) == 2),
        ({"region": [1]}, stores.region == 1),
        ({"product": [-1], "category": [category]}, np.full(len(stores), True)),
    ):
        _, discount = effects(chain, single(chain, **change))
        promoted = discount.any(axis=2)
        assert reached.sum() > 0
        assert (promoted[:, 3] == reached).all(), change
        others = products.category == category if "category" in change else np.arange(len(products)) == 3
        assert not promoted[:, ~others].any()
        assert promoted[:, others].any(axis=0).all()


def test_a_cancelled_promotion_does_nothing(chain: Chain) -> None:
    effect, discount = effects(chain, single(chain, cancelled=[1]))
    assert not effect.any()
    assert not discount.any()


def test_of_two_promotions_the_stronger_counts(chain: Chain) -> None:
    one = single(chain)
    two = Promotions(**{name: np.repeat(values, 2) for name, values in vars(one).items()})
    both = replace(
        two, discount=np.array([0.25, 0.4]), uplift=np.array([0.6, 0.9]), last=np.array([19_106, 19_103])
    )
    _, discount = effects(chain, both)
    shown = discount[0, 3, 19_100 - SPAN.begin : 19_107 - SPAN.begin]
    assert np.allclose(shown, [0.4] * 4 + [0.25] * 3)


def test_those_who_live_on_promotions_have_most(chain: Chain) -> None:
    stores, products = chain
    promotions = draw_promotions(rng(), products, stores, SPAN)
    number = np.bincount(promotions.product[promotions.product >= 0], minlength=len(products))
    kept = products.launched < SPAN.begin - 60
    assert number[kept & products.promoted].mean() > 5 * number[kept & ~products.promoted].mean() > 0
