"""Propensity, training: a forest per product and lists by neighbours, judged on days that neither has seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.classification.product_propensity import ProductPropensity
from models.evaluation.bootstrap import Interval
from models.evaluation.offer_gate import Lists, OfferThresholds, ProductJudged, judge_offers, judge_product
from models.evaluation.recommendation import average_precisions, coverage, mean_average_precision
from models.evaluation.splits import out_of_time
from models.evaluation.verdict import Verdict
from models.recommendation.lists import flags_of
from models.recommendation.neighbours import NeighbourVotes
from models.recommendation.peers import Popularity
from pipelines.errors import DataContractError
from pipelines.io.lake import on_day
from pipelines.io.registry import ModelVersion
from pipelines.monitoring.reference import Sample
from pipelines.reporting.card import model_card
from pipelines.usecase import Run, Trained
from pipelines.usecases.propensity.dataset import HELD, OWN, SUBJECTS, Past, model_columns, watched
from pipelines.usecases.propensity.offers import TOP, wordings
from pipelines.usecases.propensity.params import PropensityParams
from pipelines.usecases.propensity.schemas import LISTS, PRODUCTS, RULES

#: Threads of forests and neighbours; results do not depend on them.
N_JOBS = 2


def fit(run: Run[PropensityParams], past: Past, champion: ProductPropensity | None) -> Trained:
    """Fit the forests on the older snapshots; judge them and the lists on the newest.

    Raises ``DataContractError`` if no snapshot is over before the judged ones begin.
    """
    params, rows = run.params, past.rows
    split = params.snapshots
    holdout = out_of_time(rows["as_of"], months=split.judged_months, horizon_days=split.horizon_days)
    if not len(holdout.train):
        raise DataContractError(
            f"the horizon of {split.horizon_days} days of some snapshot must be over before {holdout.first_test}: the "
            "raw tables reach back too short for snapshots.months"
        )
    learn, judged = rows.iloc[holdout.train], rows.iloc[holdout.test].reset_index(drop=True)
    columns = model_columns(run)
    model = ProductPropensity(
        own=OWN, random_state=params.seed, n_jobs=N_JOBS, **params.forest.model_dump()
    ).fit(learn[columns], learn["taken"], groups=learn["customer_key"])
    products = _judge_products(model, champion, judged, params)
    lists = _judge_lists(model, judged, params)
    rules = _rules(model)
    map3 = {
        name: mean_average_precision(lists[f"ap_{name}"].to_numpy()) for name in ("challenger", "popularity")
    }
    shown = {
        "products": len(model.products_),
        "customers_judged": len(judged),
        "ap_over_random": float(np.nanmean(products["ap"] / products["rate"])),
        "map3": map3["challenger"],
        "map3_popularity": map3["popularity"],
        "coverage": coverage(_codes(lists, model.products_), len(model.products_)),
    }
    return Trained(
        model=model,
        example=learn[columns].head(),
        predict="predict_proba",
        card=model_card(
            run.usecase,
            as_of=run.as_of,
            params=params,
            learn=learn,
            judged=judged,
            products=products,
            rules=rules,
            facts=shown,
        ),
        tables={RULES: rules, PRODUCTS: products, LISTS: lists},
        metrics={name: float(value) for name, value in shown.items()},
        record={"rows_trained": len(learn), **{name: round(value, 4) for name, value in shown.items()}},
        sample=Sample(watched(judged, columns), SUBJECTS),
    )


def votes_of(params: PropensityParams) -> NeighbourVotes:
    """Neighbours as the parameters ask for; fitted on the holdings of the day."""
    return NeighbourVotes(k=params.lists.neighbours, similarity=params.lists.similarity)


def judge(run: Run[PropensityParams], version: ModelVersion) -> Verdict:
    """Hold the stored judgement of a training day against the thresholds of the gate."""
    gate = run.params.gate
    products = run.lake.read(PRODUCTS, where=on_day(run.as_of)).to_pylist()
    lists: pd.DataFrame = run.lake.read(LISTS, where=on_day(run.as_of)).to_pandas()
    names = [row["product"] for row in products]
    # Neighbours are those of the day: a champion would make the same lists.
    values = {name: lists[f"ap_{name}"].to_numpy(np.float64) for name in ("challenger", "popularity")}
    other = {"min_calibration", "max_calibration", "bootstrap_replicates", "confidence"}
    limits = gate.model_dump(exclude=other)
    return judge_offers(
        [_judged(row) for row in products],
        Lists(lists["customer_key"].to_numpy(), values, _codes(lists, names), len(names)),
        thresholds=OfferThresholds(
            **limits, calibration=(gate.min_calibration, gate.max_calibration), level=gate.confidence
        ),
        n_replicates=gate.bootstrap_replicates,
        seed=run.params.seed,
    )


def _judged(row: dict[str, Any]) -> ProductJudged:
    def interval(name: str) -> Interval:
        ends = (row[f"{name}{end}"] for end in ("", "_low", "_high"))
        return Interval(*(float("nan") if value is None else value for value in ends))

    against = None if row["gain"] is None else interval("gain")
    return ProductJudged(
        row["product"], row["events"], row["rate"] or 0.0, interval("ap"), interval("calibration"), against
    )


def _judge_products(
    model: ProductPropensity,
    champion: ProductPropensity | None,
    judged: pd.DataFrame,
    params: PropensityParams,
) -> pd.DataFrame:
    """Average precision and calibration of each product, by those who did not hold it."""
    chances, taken = model.predict_proba(judged), flags_of(judged["taken"], model.products_)
    theirs = champion.predict_proba(judged) if champion is not None else None
    customer, found = judged["customer_key"].to_numpy(), []
    for place, product in enumerate(model.products_):
        free = ~np.isnan(chances[:, place])
        rival = None
        if champion is not None and theirs is not None and product in champion.products_:
            rival = theirs[free, champion.products_.index(product)]
            rival = None if np.isnan(rival).any() else rival
        one = judge_product(
            product, taken[free, place], chances[free, place], customer[free],
            champion=rival, level=params.gate.confidence,
            n_replicates=params.gate.bootstrap_replicates, seed=params.seed,
        )  # fmt: skip
        row: dict[str, Any] = {"product": product, "events": one.events, "rate": one.rate}
        for name, part in (("ap", one.ap), ("calibration", one.calibration), ("gain", one.against_champion)):
            row |= {f"{name}{end}": getattr(part, field, None)
                    for end, field in (("", "value"), ("_low", "low"), ("_high", "high"))}  # fmt: skip
        found.append(row)
    return pd.DataFrame(found)


def _judge_lists(model: ProductPropensity, judged: pd.DataFrame, params: PropensityParams) -> pd.DataFrame:
    """Lists of the newest judged day, by neighbours of that day, and by what most hold."""
    newest = judged[judged["as_of"] == judged["as_of"].max()].reset_index(drop=True)
    held, taken = (flags_of(newest[name], model.products_) for name in (HELD, "taken"))
    ours = votes_of(params).fit(held).recommend(held, top=TOP, n_jobs=N_JOBS).product
    popular = Popularity().fit(held).recommend(held, top=TOP).product
    names = np.array([*model.products_, None], dtype=object)
    return pd.DataFrame(
        {
            "customer_key": newest["customer_key"],
            **{f"product_{place + 1}": names[ours[:, place]] for place in range(TOP)},
            "ap_challenger": average_precisions(ours, taken, held),
            "ap_popularity": average_precisions(popular, taken, held),
        }
    )


def _codes(lists: pd.DataFrame, names: Any) -> NDArray[np.int64]:
    places = [pd.Index(names).get_indexer(lists[f"product_{place + 1}"]) for place in range(TOP)]
    return np.column_stack(places).astype(np.int64)


def _rules(model: ProductPropensity) -> pd.DataFrame:
    said = wordings(model)
    rows = [
        (product, place, rule.words(said), rule.support, rule.lift, rule.events)
        for product in model.products_
        for place, rule in enumerate(model.rules_[product], start=1)
    ]
    return pd.DataFrame(rows, columns=["product", "place", "rule", "support", "lift", "events"])
