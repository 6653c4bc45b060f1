"""Lists are judged by a calibration that has not seen their customer."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from models.repurchase.basket import BasketCalibration
from models.repurchase.judging import _halves, _in_parts
from models.repurchase.metrics import f1_of
from models.repurchase.past import Pairs

CUSTOMERS, EACH = 120, 15


def judged(seed: int = 0) -> tuple[Pairs, np.ndarray]:
    """Candidates of one snapshot, and log-odds half a unit above the truth."""
    rng = np.random.default_rng(seed)
    n = CUSTOMERS * EACH
    raw = rng.normal(-1.0, 1.0, n)
    bought = rng.random(n) < expit(raw - 0.5)
    keys = pd.DataFrame(
        {
            "as_of": [date(2025, 9, 1)] * n,
            "customer_key": pd.Categorical(np.repeat([f"c{i:03}" for i in range(CUSTOMERS)], EACH)),
            "product_id": pd.Categorical(np.tile([f"p{i:02}" for i in range(EACH)], CUSTOMERS)),
        }
    )
    repeated = np.repeat(bought.reshape(CUSTOMERS, EACH).sum(axis=1), EACH)
    return Pairs(pd.DataFrame(index=range(n)), keys, bought, np.ones(n), repeated + 2, repeated), raw


def test_each_half_is_calibrated_by_the_other() -> None:
    pairs, raw = judged()
    (one, of_one), (other, of_other) = _halves(raw, pairs)
    assert sorted([*one, *other]) == list(range(len(raw)))
    own, theirs = (set(pairs.keys["customer_key"].iloc[rows]) for rows in (one, other))
    assert not own & theirs
    moved = pairs.bought.copy()
    moved[one] = True
    (_, still), (_, changed) = _halves(raw, replace(pairs, bought=moved))
    assert still == of_one, "what the half itself bought is not in its calibration"
    assert changed != of_other
    for calibration in (of_one, of_other):
        assert calibration.logit.intercept == pytest.approx(-0.5, abs=0.3)


def test_the_parts_come_together_in_the_order_of_the_orders() -> None:
    pairs, raw = judged(1)
    calibration = BasketCalibration.fit(raw, pairs.bought, np.repeat(np.arange(CUSTOMERS), EACH))
    whole, probability = _in_parts(raw, pairs, [(np.arange(len(raw)), calibration)])
    halves = [(rows, calibration) for rows, _ in _halves(raw, pairs)]
    parts, again = _in_parts(raw, pairs, halves)
    np.testing.assert_array_equal(probability, again)
    for name in ("named", "hits", "expected_f1", "nothing"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name))
    f1 = f1_of(whole.named, whole.hits, pairs.repeated[::EACH])
    assert whole.expected_f1 is not None
    assert f1.mean() == pytest.approx(whole.expected_f1.mean(), abs=0.05)


def test_one_customer_alone_is_not_split() -> None:
    pairs, raw = judged()
    assert _halves(raw[:EACH], pairs.take(np.arange(EACH))) == []
