"""Bench of the propensity use case: a simulated bank, and the true chance of everything beside it.

200,000 customers and 24 products: how well each product's forest ranks those who do not hold it against what nobody
can beat and against a logistic regression, how good lists of neighbours are against what most hold, and how long a
day's features and scores take.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import NDArray
from pydantic import SecretStr
from sklearn.metrics import average_precision_score

from features.pseudonyms import pseudonymise
from models.classification.baselines import logistic_baseline
from models.classification.product_propensity import ProductPropensity
from models.evaluation.metrics import expected_calibration_error
from models.evaluation.recommendation import average_precisions, coverage, mean_average_precision
from models.evaluation.splits import out_of_time
from models.recommendation.lists import flags_of, names_in
from models.recommendation.neighbours import best_of
from models.recommendation.peers import ItemNeighbours, Popularity
from pipelines.io.registry import CHALLENGER, Registry
from pipelines.lab.bench.result import BenchResult
from pipelines.lab.memory import PeakMemory
from pipelines.lab.simulation.propensity import DEFAULT_END, generate
from pipelines.measure import Stopwatch
from pipelines.settings import Settings
from pipelines.sources.ingest import ingest
from pipelines.steps import gate, prepare, score, train
from pipelines.usecase import Run
from pipelines.usecases.propensity import USECASE
from pipelines.usecases.propensity.dataset import HELD, OWN, read_scope
from pipelines.usecases.propensity.params import PropensityParams
from pipelines.usecases.propensity.training import N_JOBS, votes_of

#: Rows without the event on which the logistic regressions are fitted; it has all events.
_LOGISTIC_ROWS = 100_000
#: Memory of DuckDB in the dbt run.
_DBT_MEMORY = "3GB"
_KEY = "key of the benches"
#: Days since events that most customers never had, and the days in which their effect fades to a third.
_EVENTS = ["days_since_update", "days_since_grown", "days_since_moved", "days_since_employed"]
_FADES_DAYS = 60


@dataclass(frozen=True)
class Truth:
    """What the simulation knows of the customers scored, in their order.

    Attributes
    ----------
    chance : ndarray of shape (n, n_products)
        NaN where a product was held, also where the bank did not know it yet.
    taken : ndarray of shape (n, n_products), bool
    """

    chance: NDArray[np.float64]
    taken: NDArray[np.bool_]


def run(
    *, customers: int = 200_000, seed: int = 0, say: Callable[[str], None] = lambda line: None
) -> BenchResult:
    """Generate, land, train, score the last day, and hold it against the truth.

    ``seconds_features_and_score`` and ``peak_mb_features_and_score`` are what the budget of 120 s and 6 GB is for;
    ``cpu_seconds_features_and_score`` tells how much of the wall time was waiting for others on a shared machine.

    Parameters
    ----------
    customers
        Customers of the simulated bank, at least 2,000.
    seed
        Seed of the simulation.
    """
    os.environ.setdefault("MILLRACE_DBT_MEMORY_LIMIT", _DBT_MEMORY)
    watch, as_of = Stopwatch(), DEFAULT_END
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as name:
        folder = Path(name)
        settings = Settings(var=folder / "var", lake="", pseudonym_key=SecretStr(_KEY))
        with watch.phase("generate"):
            generate(customers, seed, folder / "data")
        say(f"{customers:,} customers generated in {watch.seconds['generate']:.0f} s")
        with watch.phase("ingest"):
            arrived = datetime.combine(as_of, datetime.min.time())
            ingest("propensity", folder / "data", source="native", settings=settings, ingested_at=arrived)
        say(f"ingested in {watch.seconds['ingest']:.0f} s")
        with watch.phase("training_features"):
            prepare.run(USECASE, as_of, settings=settings, training=True)
        with watch.phase("train"):
            trained = train.run(USECASE, as_of, settings=settings)
            verdict = gate.run(USECASE, as_of, settings=settings)
        say(
            f"trained on {trained['rows_trained']:,} rows in {watch.seconds['train']:.0f} s: {verdict['words']}"
        )
        cpu = _cpu_seconds()
        with PeakMemory() as memory, watch.phase("features_and_score"):
            with watch.phase("features"):
                prepare.run(USECASE, as_of, settings=settings)
            with watch.phase("score"):
                scored = score.run(USECASE, as_of, settings=settings, alias=CHALLENGER)
        cpu = _cpu_seconds() - cpu
        say(f"features and score in {watch.seconds['features_and_score']:.0f} s")
        here, registry = USECASE.run(as_of, settings), Registry(settings, USECASE.name)
        model: ProductPropensity = registry.load(registry.serving(CHALLENGER))
        past, today = _learned_from(here, USECASE.read(here).rows), read_scope(here)
        chances = model.predict_proba(today)
        truth = read_truth(folder / "data", today["customer_key"], model.products_)
        with watch.phase("judge"):
            found = judge_chances(model, past, today, chances, truth)
            lists = judge_lists(here, today, chances, truth, model.products_)
    seconds = {name: round(value, 1) for name, value in watch.seconds.items()}
    return BenchResult(
        bench="propensity",
        metrics={
            "customers": customers,
            "products": len(model.products_),
            "training_rows": trained["rows_trained"],
            "scored": scored["scored"],
            "gate": verdict["outcome"],
            **found,
            **lists["neighbours"],
            "map3_ratio_to_popularity": lists["neighbours"]["map3"] / lists["popularity"]["map3"],
            "seconds": seconds,
            "seconds_features_and_score": seconds["features_and_score"],
            "cpu_seconds_features_and_score": round(cpu, 1),
            "peak_mb_features_and_score": round(memory.peak_mb, 1),
        },
        seconds=round(sum(seconds.values()) - seconds["features"] - seconds["score"], 1),
        peak_rss_mb=round(memory.peak_mb, 1),
        peers={name: values for name, values in lists.items() if name != "neighbours"},
    )


def _cpu_seconds() -> float:
    """Seconds of processors that this process and its ended children have used."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def _learned_from(run: Run[PropensityParams], rows: pd.DataFrame) -> pd.DataFrame:
    """Rows that the forests were fitted on; a peer that learns of more or newer days would be another comparison."""
    days = run.params.snapshots
    return rows.iloc[
        out_of_time(rows["as_of"], months=days.judged_months, horizon_days=days.horizon_days).train
    ]


def read_truth(data: Path, keys: pd.Series, products: Sequence[str]) -> Truth:
    """Truth about the customers with these pseudonyms."""
    people = pl.read_parquet(data / "truth" / "people.parquet", columns=["customer_id"])
    place = pl.DataFrame({"key": keys.to_numpy(dtype=object).tolist()}).with_row_index("row")
    rows = people.with_columns(
        key=pl.Series(pseudonymise(people["customer_id"].to_arrow(), key=_KEY.encode()))
    ).join(place, on="key")
    columns = pl.DataFrame({"product": list(products)}).with_row_index("column")

    def cells(name: str) -> pl.DataFrame:
        file = pl.read_parquet(data / "truth" / f"{name}.parquet")
        return file.join(rows, on="customer_id").join(columns, on="product")

    chance = np.full((len(keys), len(products)), np.nan)
    told = cells("chances")
    chance[told["row"].to_numpy(), told["column"].to_numpy()] = told["chance"].to_numpy()
    taken = np.zeros(chance.shape, dtype=np.bool_)
    after = cells("taken")
    taken[after["row"].to_numpy(), after["column"].to_numpy()] = True
    return Truth(chance, taken)


def judge_chances(
    model: ProductPropensity,
    past: pd.DataFrame,
    today: pd.DataFrame,
    chances: NDArray[np.float64],
    truth: Truth,
) -> dict[str, Any]:
    """Average precision of each product: forest, logistic regression, the true chance; and calibration."""
    columns = [name for name in model.feature_names_in_ if name in today]
    by_product: dict[str, dict[str, float]] = {}
    held, held_before = (flags_of(frame["held"], model.products_) for frame in (today, past))
    took_before = flags_of(past["taken"], model.products_)
    for position, product in enumerate(model.products_):
        free = ~held[:, position] & ~np.isnan(truth.chance[:, position])
        y = truth.taken[free, position]
        if product not in model.forests_ or not y.any():
            continue
        logistic = _logistic(
            past,
            today[free],
            held_before[:, position],
            took_before[:, position],
            columns,
            model.products_,
            position,
        )
        p = chances[free, position]
        by_product[product] = {
            "taken": int(y.sum()),
            "rate": float(y.mean()),
            "ap": float(average_precision_score(y, p)),
            "ap_logistic": float(average_precision_score(y, logistic)),
            "ap_reachable": float(average_precision_score(y, truth.chance[free, position])),
            "mean_chance": float(p.mean()),
            "ece": expected_calibration_error(y, p),
        }
    table = pd.DataFrame(by_product).T
    gain = table["ap"] - table["ap_logistic"]
    return {
        "by_product": by_product,
        "ap_mean": table["ap"].mean(),
        "ap_logistic_mean": table["ap_logistic"].mean(),
        "ap_reachable_mean": table["ap_reachable"].mean(),
        "ap_share_of_reachable": (table["ap"] / table["ap_reachable"]).mean(),
        "ap_logistic_share_of_reachable": (table["ap_logistic"] / table["ap_reachable"]).mean(),
        "products_better_than_logistic": int((gain > 0).sum()),
        "ap_gain_on_logistic": gain.mean(),
        "ap_gain_standard_error": gain.std() / np.sqrt(len(gain)),
        "taken_over_expected": table["taken"].sum()
        / (table["mean_chance"] * table["taken"] / table["rate"]).sum(),
    }


def _logistic(
    past: pd.DataFrame,
    today: pd.DataFrame,
    held: NDArray[np.bool_],
    took: NDArray[np.bool_],
    columns: Sequence[str],
    products: Sequence[str],
    position: int,
) -> NDArray[np.float64]:
    """Scores of a logistic regression on the same rows and columns, in the form that suits it best.

    Lists become flags. Days since something that happened to few become its fading effect, 0 where it never did; a
    median in place of "never" would spoil them.
    """
    rng = np.random.default_rng(0)
    others = np.flatnonzero(~held & ~took)
    rows = np.concatenate(
        [np.flatnonzero(~held & took), rng.choice(others, min(len(others), _LOGISTIC_ROWS), replace=False)]
    )
    product = [products[position]]

    def flat(frame: pd.DataFrame) -> pd.DataFrame:
        plain = frame[[name for name in columns if name not in (HELD, *OWN)]]
        faded = {name: np.exp(-plain[name].fillna(np.inf) / _FADES_DAYS) for name in _EVENTS}
        plain = plain.assign(**faded)
        flags = pd.DataFrame(flags_of(frame[HELD], products), index=frame.index).add_prefix("held_")
        own = {name: flags_of(frame[name], product)[:, 0] for name in OWN}
        return pd.concat([plain, flags, pd.DataFrame(own, index=frame.index)], axis=1)

    model = logistic_baseline().fit(flat(past.iloc[rows]), took[rows])
    return np.asarray(model.predict_proba(flat(today))[:, 1])


def judge_lists(
    run: Run[PropensityParams],
    today: pd.DataFrame,
    chances: NDArray[np.float64],
    truth: Truth,
    products: Sequence[str],
) -> dict[str, dict[str, float]]:
    """MAP@3 and coverage of every way to make a list."""
    held = flags_of(today["held"], products)
    popular = Popularity().fit(held)
    # What the forests would list; not a peer on holdings alone.
    likeliest = best_of(np.nan_to_num(chances, nan=-1.0), held, 3, ties=popular.share_)
    listed = {
        "neighbours": votes_of(run.params).fit(held).recommend(held, n_jobs=N_JOBS).product,
        "popularity": popular.recommend(held).product,
        "item_neighbours": ItemNeighbours().fit(held).recommend(held).product,
        "forests": likeliest.product,
        "reachable": best_of(np.nan_to_num(truth.chance, nan=-1.0), held, 3, ties=popular.share_).product,
    }
    return {
        name: {
            "map3": mean_average_precision(average_precisions(product, truth.taken, held)),
            "coverage": coverage(product, len(names_in(today["held"]))),
        }
        for name, product in listed.items()
    }
