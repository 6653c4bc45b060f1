"""Stock that ages, against a loop over single units; units are conserved."""

from __future__ import annotations

import numpy as np
import pytest

from models.ordering.stock import LONGEST_LIFE, Lives, Morning, age, expected_waste, replay, sell

KEEPS = LONGEST_LIFE + 1


def chance(seed: int, count: int = 40, days: int = 50):
    rng = np.random.default_rng(seed)
    lives = Lives(rng.choice([1, 2, 3, 7, 20, KEEPS], count))
    lead = rng.integers(1, 4, count)
    demand = rng.poisson(rng.gamma(1, 5, count)[:, None], (count, days)).astype(float)
    opening = lives.stock(rng.integers(0, 20, count).astype(float))
    orders = rng.poisson(6, (days, count)) * (rng.random((days, count)) < 0.5)
    return lives, lead, demand, opening, orders.astype(float)


def naive(life: int, lead: int, demand, opening: float, orders):
    """One product, unit by unit: a list of the days of life left."""
    shelf, arriving = [life] * int(opening), {}
    rows = []
    for day, wanted in enumerate(demand):
        came = arriving.pop(day, 0)
        shelf += [life] * came
        arriving[day + lead] = arriving.get(day + lead, 0) + int(orders[day])
        shelf.sort()
        sold = min(int(wanted), len(shelf))
        shelf = shelf[sold:]
        if life > LONGEST_LIFE:
            wasted = 0
        else:
            shelf = [left - 1 for left in shelf]
            wasted = shelf.count(0)
            shelf = [left for left in shelf if left > 0]
        rows.append((came, sold, wanted - sold, wasted, len(shelf)))
    return np.array(rows, dtype=float).T


@pytest.mark.parametrize("seed", range(3))
def test_sells_first_what_expires_first_as_a_loop_over_units_does(seed):
    lives, lead, demand, opening, orders = chance(seed)
    found = replay(demand, opening, lives, lead, lambda morning: orders[morning.day])
    for row in range(len(demand)):
        expected = naive(lives.days[row], lead[row], demand[row], opening[row].sum(), orders[:, row])
        for name, values in zip(("delivered", "sold", "lost", "wasted", "closing"), expected, strict=True):
            np.testing.assert_array_equal(getattr(found, name)[row], values, err_msg=f"{name} of {row}")


@pytest.mark.parametrize("seed", range(3))
def test_units_are_conserved_on_every_day(seed):
    lives, lead, demand, opening, orders = chance(seed, count=200)
    found = replay(demand, opening, lives, lead, lambda morning: orders[morning.day])
    before = np.concatenate([opening.sum(axis=1)[:, None], found.closing[:, :-1]], axis=1)
    np.testing.assert_array_equal(before + found.delivered, found.sold + found.wasted + found.closing)
    np.testing.assert_array_equal(found.sold + found.lost, demand)
    assert min(getattr(found, name).min() for name in ("delivered", "sold", "lost", "wasted", "closing")) == 0


def test_whoever_orders_sees_what_is_there_and_what_is_due():
    lives, lead = Lives(np.array([3, KEEPS])), np.array([2, 1])
    seen: list[Morning] = []

    def ask(morning: Morning) -> np.ndarray:
        seen.append(Morning(morning.day, morning.stock.copy(), morning.due.copy()))
        return np.array([10.0, 20.0]) if morning.day == 0 else np.zeros(2)

    demand = np.array([[1.0, 1, 1, 1], [2, 2, 2, 2]])
    replay(demand, lives.stock(np.array([5.0, 5.0])), lives, lead, ask)
    assert seen[0].stock.sum(axis=1).tolist() == [5, 5]
    assert seen[0].due.tolist() == [[0, 0], [0, 0]]
    assert seen[1].due.tolist() == [[10, 0], [0, 0]]
    assert seen[1].stock.sum(axis=1).tolist() == [4, 23]
    assert seen[2].stock[0].tolist() == [3, 0, 10]  # three left of the first, on their last day


def test_order_of_the_day_needs_a_delivery_of_a_later_day():
    lives = Lives(np.array([3]))
    with pytest.raises(ValueError, match="lead must be at least 1 day"):
        replay(np.ones((1, 2)), lives.stock(np.ones(1)), lives, np.array([0]), lambda morning: np.zeros(1))


def test_sells_and_ages_one_day():
    stock = np.array([[2.0, 3.0, 4.0], [9.0, 0.0, 0.0]])
    sold, left = sell(stock, np.array([4.0, 2.0]))
    assert sold.tolist() == [4, 2]
    assert left.tolist() == [[0, 1, 4], [7, 0, 0]]
    wasted, left = age(np.array([[1.0, 1, 4], [7, 0, 0]]), np.array([False, True]))
    assert wasted.tolist() == [1, 0]
    assert left.tolist() == [[1, 4, 0], [7, 0, 0]]


def test_expected_waste_is_the_replay_of_what_is_expected():
    lives, _, demand, _, _ = chance(5, count=60, days=9)
    rng = np.random.default_rng(6)
    left = rng.integers(1, 8, 60)
    stock = lives.stock(rng.integers(0, 60, 60).astype(float), left)
    due = rng.integers(0, 30, (60, 3)).astype(float)
    days = rng.integers(1, 10, 60)
    found = expected_waste(stock, due, demand, lives, days)
    # Deliveries ordered a day before they are due give the same stock.
    orders = np.concatenate([due.T, np.zeros((6, 60))])
    lived = replay(demand, stock, lives, np.ones(60, dtype=int), lambda morning: orders[morning.day])
    expected = [lived.wasted[row, : days[row]].sum() for row in range(60)]
    np.testing.assert_allclose(found, expected)
    assert (found[lives.keeps] == 0).all()
    assert found.sum() > 0
