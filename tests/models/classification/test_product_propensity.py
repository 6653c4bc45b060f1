"""A model per product on a frame with lists, and the rules that it tells."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.metrics import average_precision_score

from models.classification.product_propensity import ProductPropensity
from models.explanation.rules import Condition, Rule, first_rule, forest_rules
from models.recommendation.lists import BETWEEN

PRODUCTS = ("card", "fund", "loan", "rare")


def lists_of(flags: np.ndarray) -> list[str]:
    """Products flagged in each row, as the lake writes them."""
    return [BETWEEN.join(name for name, flag in zip(PRODUCTS, row, strict=True) if flag) for row in flags]


def bank(n: int, seed: int) -> tuple[pd.DataFrame, list[str], np.ndarray, np.ndarray]:
    """Customers, what they took as text, true chances and customer of each row (two rows each)."""
    rng = np.random.default_rng(seed)
    age, income = rng.integers(18, 80, n), rng.lognormal(7.7, 0.4, n)
    held = rng.random((n, 4)) < (0.6, 0.2, 0.2, 0.01)
    contacted = rng.random((n, 4)) < 0.1
    chance = np.column_stack(
        [
            np.full(n, 0.05),
            0.01 + 0.15 * ((age > 40) & (income > 2500)) + 0.05 * contacted[:, 1],
            0.01 + 0.12 * ((age < 35) & held[:, 0]),
            np.full(n, 0.0002),
        ]
    )
    taken = (rng.random((n, 4)) < chance) & ~held
    frame = pd.DataFrame(
        {
            "age": age,
            "income": np.where(rng.random(n) < 0.05, np.nan, income),
            "region": rng.choice(["north", "south"], n),
            "held": lists_of(held),
            "contacted": lists_of(contacted),
        }
    )
    return frame, lists_of(taken), np.where(held, np.nan, chance), np.arange(n) // 2


MODEL = ProductPropensity(own=("contacted",), n_estimators=40, max_depth=6, min_samples_leaf=20)


@pytest.fixture(scope="module")
def fitted() -> ProductPropensity:
    frame, taken, _, customer = bank(20_000, 1)
    return MODEL.fit(frame, taken, groups=customer)


def test_chances_are_ranked_and_sized_as_the_truth(fitted: ProductPropensity) -> None:
    frame, taken, chance, _ = bank(20_000, 2)
    p = fitted.predict_proba(frame)
    assert fitted.products_ == PRODUCTS
    for product in (1, 2):
        free = ~np.isnan(chance[:, product])
        y = np.array(["fund" in text if product == 1 else "loan" in text for text in taken])[free]
        best = average_precision_score(y, chance[free, product])
        assert average_precision_score(y, p[free, product]) > 0.85 * best
        assert p[free, product].mean() == pytest.approx(chance[free, product].mean(), rel=0.1)


def test_what_is_held_has_no_chance_and_what_few_took_has_the_share(fitted: ProductPropensity) -> None:
    frame, _, chance, _ = bank(2_000, 3)
    p = fitted.predict_proba(frame)
    np.testing.assert_array_equal(np.isnan(p), np.isnan(chance))
    assert "rare" not in fitted.forests_
    assert np.unique(p[~np.isnan(p[:, 3]), 3]) == pytest.approx([fitted.rates_[3]])


def test_only_the_own_product_of_a_list_counts(fitted: ProductPropensity) -> None:
    frame, _, _, _ = bank(2_000, 4)
    without, other, own = (
        fitted.predict_proba(frame.assign(contacted=text)) for text in ("", "card", "fund")
    )
    np.testing.assert_array_equal(without[:, 1], other[:, 1])
    assert np.nanmean(own[:, 1]) > np.nanmean(without[:, 1]) + 0.01


def test_rules_say_what_the_truth_is(fitted: ProductPropensity) -> None:
    rule = fitted.rules_["fund"][0]
    bounds = {condition.feature: condition for condition in rule.conditions}
    assert bounds["age"].low == pytest.approx(40, abs=3)
    assert bounds["income"].low == pytest.approx(2500, rel=0.1)
    words = rule.words({"age": "age", "income": "income in EUR"})
    assert words.startswith("age above ")
    assert " and income in EUR above 2," in words
    # What is told of a rule holds for other customers.
    frame, taken, _, _ = bank(40_000, 5)
    first = fitted.first_rules(frame)[:, 1]
    free = ~frame["held"].str.contains("fund")
    met = (first == 0) & free
    took = np.array(["fund" in text for text in taken])
    assert met[free].mean() == pytest.approx(rule.support, rel=0.1)
    assert took[met].mean() / took[free].mean() == pytest.approx(rule.lift, rel=0.2)


def test_a_product_that_everybody_takes_alike_has_no_rules(fitted: ProductPropensity) -> None:
    assert fitted.rules_["card"] == ()
    assert fitted.rules_["rare"] == ()


def test_rules_of_noise_do_not_pass_the_second_half() -> None:
    """Chosen among hundreds, a rule looks good by luck; the other half of the customers tells."""
    rng = np.random.default_rng(6)
    frame = pd.DataFrame({f"x{j}": rng.random(6_000) for j in range(20)}).assign(held="")
    taken = np.where(rng.random(6_000) < 0.02, "p", "")
    model = ProductPropensity(n_estimators=30, n_rules=0).fit(frame, taken)
    forest = model.forests_["p"]
    X = frame.drop(columns="held").assign(p=0).to_numpy(dtype=np.float32)
    names = [*(f"x{j}" for j in range(20)), "held=p"]
    assert len(forest_rules(forest.trees_, X, taken == "p", names, min_lift=1.5)) <= 1


def test_conditions_are_said_as_they_are_measured() -> None:
    X = np.array([[30.0, 1.0], [40.0, 0.0], [np.nan, 1.0]])
    above = Condition(0, "age", 30.0, np.inf)
    holds = Condition(1, "held=card", 0.5, np.inf)
    lacks = Condition(1, "held=card", -np.inf, 0.5)
    np.testing.assert_array_equal(above.holds(X), [False, True, False])
    assert above.words({}) == "age above 30"
    assert Condition(0, "income_eur", -np.inf, 54600.0).words({}) == "income eur at most 54,600"
    assert Condition(0, "ratio", 0.5, 1.25).words({}) == "ratio above 0.5, at most 1.25"
    wordings = {"held=card": ("holds a card", "holds no card")}
    assert (holds.words(wordings), lacks.words(wordings)) == ("holds a card", "holds no card")
    rules = (Rule((above, lacks)), Rule((holds,)))
    np.testing.assert_array_equal(first_rule(rules, X), [1, 0, 1])


def test_it_is_stored_without_pickle(fitted: ProductPropensity) -> None:
    frame, _, _, _ = bank(300, 7)
    stored = skops.io.dumps(fitted)
    types = skops.io.get_untrusted_types(data=stored)
    assert all(name.startswith(("models.", "sklearn.", "numpy.")) for name in types), types
    loaded = skops.io.loads(stored, trusted=types)
    np.testing.assert_array_equal(loaded.predict_proba(frame), fitted.predict_proba(frame))
    assert loaded.rules_ == fitted.rules_


def test_lists_are_asked_for() -> None:
    frame, taken, _, _ = bank(50, 8)
    with pytest.raises(ValueError, match=r"missing: \['contacted'\]"):
        MODEL.fit(frame.drop(columns="contacted"), taken)
