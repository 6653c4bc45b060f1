"""The shift that the products of an order share."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from models.repurchase.order_size import OrderSize


def orders(sd: float, count: int = 3000, products: int = 20) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Marginal probabilities, purchases and sizes of orders with a known shift."""
    rng = np.random.default_rng(7)
    centre = rng.normal(-1.5, 1.0, (count, products))
    shift = rng.normal(0, sd, (count, 1)) if sd else np.zeros((count, 1))
    bought = rng.random(centre.shape) < expit(centre + shift)
    node, weight = np.polynomial.hermite_e.hermegauss(40)
    marginal = expit(centre[..., None] + sd * node) @ (weight / weight.sum())
    return marginal.ravel(), bought.ravel(), np.full(count, products)


@pytest.mark.parametrize("sd", [0.0, 0.7, 1.5])
def test_finds_the_shift_that_orders_were_made_with(sd):
    assert OrderSize.fit(*orders(sd)).sd == pytest.approx(sd, abs=0.1)


def test_leaves_the_probability_of_each_product_as_it_is():
    p = np.array([0.0, 0.001, 0.2, 0.9, 1.0])
    mean = sum(share * given for given, share in OrderSize(1.2).conditional(p))
    np.testing.assert_allclose(mean, p, atol=2e-4)


def test_without_orders_products_are_independent():
    assert OrderSize.fit([], [], []).sd == 0
    with pytest.raises(ValueError, match="add up"):
        OrderSize.fit([0.5], [True], [2])
