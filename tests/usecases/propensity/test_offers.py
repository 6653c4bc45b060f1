"""Offers of a handful of customers, word for word."""

from __future__ import annotations

import numpy as np
import pandas as pd

from models.classification.product_propensity import ProductPropensity
from models.recommendation.lists import flags_of
from models.recommendation.neighbours import NeighbourVotes
from pipelines.usecases.propensity.offers import make_offers


def test_offers_are_what_neighbours_hold_with_chance_and_reason() -> None:
    rng = np.random.default_rng(0)
    n = 6_000
    house = rng.random(n) < 0.3
    age = rng.integers(18, 80, n)
    held = np.where(house, "mortgage", "card").astype(object)
    held = np.where(house & (rng.random(n) < 0.6), "insurance|mortgage", held)
    held[:3] = ["card|insurance|mortgage", "mortgage", "card"]
    takes = rng.random(n) < np.where((age > 50) & ~flags_of(held, ("insurance",))[:, 0], 0.2, 0.02)
    frame = pd.DataFrame({"age_years": age, "held": held})
    model = ProductPropensity(n_estimators=30, max_depth=4, min_samples_leaf=20).fit(
        frame, np.where(takes, "insurance", "")
    )
    chances = model.predict_proba(frame)
    offers = pd.DataFrame(make_offers(frame, chances, model, NeighbourVotes(k=100)))
    everything, owner, payer = offers.iloc[0], offers.iloc[1], offers.iloc[2]
    assert everything["product_1"] is None
    assert everything["reason_1"] is None
    assert np.isnan(everything["chance_1"])
    assert owner["product_1"] == "insurance"
    assert owner["chance_1"] == chances[1, list(model.products_).index("insurance")]
    assert owner["reason_1"].startswith("100 % of customers like you, who hold mortgage, have it")
    older = offers[(frame["age_years"] > 55) & (frame["held"] == "mortgage")]
    assert older["reason_1"].str.contains(r"; age above 5\d: \d\.\d times as likely").all()
    assert set(payer[["product_1", "product_2"]]) == {"insurance", "mortgage"}
    assert payer["product_3"] is None
