"""From a day's customers to their offers: three products, the chance of each, and why."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.classification.product_propensity import ProductPropensity
from models.explanation.rules import Wordings
from models.recommendation.companions import Companions
from models.recommendation.lists import flags_of
from models.recommendation.neighbours import NeighbourVotes

Floats = NDArray[np.float64]

#: Offers per customer.
TOP = 3

#: How the columns of the forests are told in rules; those of products follow from their names.
WORDINGS: Mapping[str, str | tuple[str, str]] = {
    "age_years": "age",
    "income_eur": "income of the month in EUR",
    "income_change_365d": "income over that of a year before",
    "household_size": "people in the household",
    "household_change_365d": "change of the household within a year",
    "tenure_days": "days with the bank",
    "products": "products held",
    "products_change_6m": "change of the products held within six months",
    "days_since_last_taken": "days since the last product was taken",
    "assets_eur": "assets in EUR",
    "debts_eur": "debts in EUR",
    "assets_change_3m": "assets over those of three months before",
    "assets_change_6m": "assets over those of six months before",
    "contacts_90d": "offers within 90 days",
    "interested_365d": "offers of the year answered with interest",
    "declined_365d": "offers of the year declined",
    "dropped_lately": ("gave it up lately", "did not give it up lately"),
    "contacted_lately": ("was offered it within 90 days", "was not offered it within 90 days"),
    "interested_lately": ("answered an offer of it with interest", "answered no offer of it with interest"),
    "declined_lately": ("declined an offer of it", "declined no offer of it"),
}


def wordings(model: ProductPropensity) -> Wordings:
    """How every column of a fitted model is told."""
    said: dict[str, str | tuple[str, str]] = dict(WORDINGS)
    for column in model.columns_:
        name, equals, value = column.partition("=")
        if name == "held" and equals:
            said[column] = (f"holds {value}", f"does not hold {value}")
        elif equals:
            shown = value.replace("_", " ")
            said[column] = (f"{name} is {shown}", f"{name} is not {shown}")
    return said


def make_offers(
    frame: pd.DataFrame, chances: Floats, model: ProductPropensity, votes: NeighbourVotes, *, n_jobs: int = 1
) -> dict[str, NDArray[np.object_] | Floats]:
    """Offers of the customers of a day.

    Parameters
    ----------
    frame
        Customers in scope, whose holdings are also those of the neighbours.
    chances : ndarray of shape (n, n_products)
        What ``model`` says of them.
    votes
        Not fitted; a copy of the parameters chosen in training.

    Returns
    -------
    dict
        ``product_<i>``, ``chance_<i>``, ``score_<i>`` and ``reason_<i>`` for the places 1 to 3.
    """
    names = np.array(model.products_, dtype=object)
    held = flags_of(frame["held"], model.products_)
    found = votes.fit(held).recommend(held, top=TOP, n_jobs=n_jobs)
    companions, rules = Companions(held), model.first_rules(frame)
    said = wordings(model)
    # Rules in words, by product and place; the last place is that of no rule.
    told = [[f"; {rule.words(said)}" for rule in model.rules_[name]] + [""] for name in model.products_]
    out: dict[str, NDArray[np.object_] | Floats] = {}
    rows = np.arange(len(frame))
    for place in range(TOP):
        product, score = found.product[:, place], found.score[:, place]
        nothing = product < 0
        out[f"product_{place + 1}"] = np.where(nothing, np.array(None, dtype=object), names[product])
        out[f"chance_{place + 1}"] = np.where(nothing, np.nan, chances[rows, product])
        out[f"score_{place + 1}"] = score
        parts = pd.DataFrame(
            {
                "percent": np.where(nothing, 0, np.rint(np.nan_to_num(score) * 100)).astype(np.int64),
                "product": product,
                "rule": rules[rows, product],
            }
        )
        parts[["first", "second"]] = companions.of(held, product)
        group = parts.groupby(list(parts.columns), sort=False).ngroup().to_numpy()
        _, first = np.unique(group, return_index=True)
        texts = [_reason(key, names, told) for key in parts.to_numpy()[first]]
        out[f"reason_{place + 1}"] = np.array(texts, dtype=object)[group]
    return out


def _reason(key: NDArray[np.int64], names: NDArray[np.object_], told: list[list[str]]) -> str | None:
    """Say why a product is recommended: percent of the votes, product, rule, and what is held beside it."""
    percent, product, rule, *beside = key
    if product < 0:
        return None
    besides = [names[column] for column in beside if column >= 0]
    alike = f"customers like you, who hold {' and '.join(besides)}," if besides else "customers like you"
    return f"{f'{percent} %' if percent else 'A few'} of {alike} have it{told[product][rule]}"
