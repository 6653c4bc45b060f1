"""From a day's customers to their offers: three products, the chance of each, and why."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.classification.product_propensity import ProductPropensity
from models.explanation.rules import Wordings
from models.recommendation.companions import Companions
from models.recommendation.lists import flags_of
from models.recommendation.neighbours import NeighbourVotes
from pipelines.discovery import find

Floats = NDArray[np.float64]

#: Offers per customer.
TOP = 3


def wordings(model: ProductPropensity) -> Wordings:
    """How every column of a fitted model is told: in the words of ``words.yaml``, with the value in their braces."""
    features = find("propensity").words.features
    said: dict[str, str | tuple[str, str]] = {}
    for column in model.columns_:
        name, _, value = column.partition("=")
        told, value = features.get(name, name.replace("_", " ")), value.replace("_", " ")
        said[column] = told if isinstance(told, str) else (told[0].format(value), told[1].format(value))
    return said


def make_offers(
    frame: pd.DataFrame, chances: Floats, model: ProductPropensity, votes: NeighbourVotes, *, n_jobs: int = 1
) -> pd.DataFrame:
    """Offers of the customers in scope of a day, whose holdings are also those of the neighbours.

    ``chances`` is what ``model`` says of them, shape (n, n_products); ``votes`` is not fitted yet. Returns
    ``product_<i>``, ``chance_<i>``, ``score_<i>`` and ``reason_<i>`` for the places 1 to 3, a row per
    customer.
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
    return pd.DataFrame(out)


def _reason(key: NDArray[np.int64], names: NDArray[np.object_], told: list[list[str]]) -> str | None:
    """Say why a product is recommended: percent of the votes, product, rule, and what is held beside it."""
    percent, product, rule, *beside = key
    if product < 0:
        return None
    besides = [names[column] for column in beside if column >= 0]
    alike = f"customers like you, who hold {' and '.join(besides)}," if besides else "customers like you"
    return f"{f'{percent} %' if percent else 'A few'} of {alike} have it{told[product][rule]}"
