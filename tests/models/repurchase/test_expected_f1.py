"""The list with the largest expected F1: against enumeration, dynamic programming and simulation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from models.repurchase import expected_f1 as module
from models.repurchase.expected_f1 import choose, expected_f1
from models.repurchase.order_size import OrderSize


def falling(seed: int, n: int, low: float = 0.01, high: float = 0.9) -> np.ndarray:
    return np.sort(np.random.default_rng(seed).uniform(low, high, n))[::-1]


def enumerated(p: np.ndarray, k: int, order_size: OrderSize) -> float:
    """Expected F1 of the first k, by looking at every order there could be."""
    total = 0.0
    for given, share in order_size.conditional(p):
        for outcome in itertools.product([0, 1], repeat=len(p)):
            bought = np.array(outcome)
            chance = np.prod(np.where(bought, given, 1 - given))
            both = k + bought.sum()
            total += share * chance * (1.0 if both == 0 else 2 * bought[:k].sum() / both)
    return total


def by_dynamic_programming(p: np.ndarray, k: int) -> float:
    """Expected F1 of the first k from the distributions of the hits and of the other products bought."""

    def distribution(part: np.ndarray) -> np.ndarray:
        found = np.ones(1)
        for chance in part:
            found = np.convolve(found, [1 - chance, chance])
        return found

    hits, others = distribution(p[:k]), distribution(p[k:])
    h, o = np.arange(len(hits))[:, None], np.arange(len(others))[None, :]
    return float((hits[:, None] * others[None, :] * 2 * h / (k + h + o)).sum())


@pytest.mark.parametrize("sd", [0.0, 1.3])
def test_equals_enumeration_of_all_orders(sd):
    p = falling(1, 8)
    size = OrderSize(sd)
    wanted = [enumerated(p, k, size) for k in range(len(p) + 1)]
    np.testing.assert_allclose(expected_f1(p, size), wanted, atol=1e-10)


def test_the_first_k_are_the_best_set_of_k():
    p = falling(2, 6)
    best = expected_f1(p)
    for k in range(1, 7):
        for chosen in itertools.combinations(range(6), k):
            rest = [i for i in range(6) if i not in chosen]
            assert by_dynamic_programming(p[[*chosen, *rest]], k) <= best[k] + 1e-12


@pytest.mark.parametrize("n", [40, 300])
def test_equals_dynamic_programming_on_long_lists(n):
    p = falling(3, n, high=0.5)
    found = expected_f1(p)
    for k in (1, 5, n // 2, n):
        assert found[k] == pytest.approx(by_dynamic_programming(p, k), abs=1e-9)


def test_each_customer_gets_an_own_list_whatever_the_chunks(monkeypatch):
    sizes = [3, 40, 1, 12]
    p = np.concatenate([falling(seed, n) for seed, n in enumerate(sizes)])
    whole = choose(p, sizes, OrderSize(0.8))
    alone = [choose(part, [len(part)], OrderSize(0.8)) for part in np.split(p, np.cumsum(sizes)[:-1])]
    monkeypatch.setattr(module, "CHUNK", 10)
    parted = choose(p, sizes, OrderSize(0.8))
    assert whole.size.tolist() == parted.size.tolist() == [int(one.size[0]) for one in alone]
    np.testing.assert_allclose(whole.expected_f1, parted.expected_f1, rtol=1e-12)
    values = expected_f1(p[3:43], OrderSize(0.8))
    assert whole.size[1] == values.argmax()
    assert whole.expected_f1[1] == pytest.approx(values.max())


def test_nothing_is_chosen_where_nothing_is_likelier_than_any_list_is_good():
    choice = choose([0.02, 0.01, 0.6, 0.5], [2, 2])
    assert choice.size.tolist() == [0, 2]
    assert choice.nothing == pytest.approx([0.98 * 0.99, 0.4 * 0.5])
    assert choice.expected_f1[0] == pytest.approx(choice.nothing[0])


def test_certain_and_impossible_products():
    choice = choose([1.0, 1.0, 0.0, 0.0], [3, 1], OrderSize(1.0))
    assert choice.size.tolist() == [2, 0]
    np.testing.assert_allclose(choice.expected_f1, [1.0, 1.0])


def test_orders_that_are_large_or_small_as_a_whole_are_more_often_empty():
    p = np.full(20, 0.1)
    assert choose(p, [20], OrderSize(1.5)).nothing[0] > 2 * choose(p, [20]).nothing[0]


def test_beats_any_threshold_on_simulated_orders():
    rng = np.random.default_rng(5)
    sizes = np.full(3000, 15)
    level = rng.beta(1, 5, len(sizes))
    p = np.concatenate([np.sort(np.clip(rng.normal(mean, 0.08, 15), 0.005, 0.95))[::-1] for mean in level])
    bought = rng.random(len(p)) < p
    repeated = bought.reshape(-1, 15).sum(axis=1)

    def f1(listed: np.ndarray) -> float:
        named, hits = listed.reshape(-1, 15).sum(axis=1), (listed & bought).reshape(-1, 15).sum(axis=1)
        return float(np.where(named + repeated == 0, 1.0, 2 * hits / np.maximum(named + repeated, 1)).mean())

    choice = choose(p, sizes)
    ours = f1(np.tile(np.arange(15), len(sizes)) < np.repeat(choice.size, 15))
    assert ours == pytest.approx(choice.expected_f1.mean(), abs=0.02)
    assert ours > max(f1(p > threshold) for threshold in np.arange(0.05, 0.6, 0.05)) + 0.01


@pytest.mark.parametrize(
    ("p", "sizes", "words"),
    [
        ([0.5, 0.6], [2], "must fall"),
        ([0.5], [2], "add up"),
        ([0.5], [1, 0], "empty groups"),
        ([1.5], [1], "in \\[0, 1\\]"),
        ([float("nan")], [1], "not missing"),
    ],
)
def test_what_it_refuses(p, sizes, words):
    with pytest.raises(ValueError, match=words):
        choose(p, sizes)


def test_no_customers_no_lists():
    assert choose([], []).size.tolist() == []
