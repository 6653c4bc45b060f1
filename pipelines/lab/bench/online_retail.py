"""Bench of the repurchase use case on UCI's Online Retail, out of time, against rules that a person could apply.

Everything up to 2011-09-09 is known; the first order of each customer after it is foretold, through the pipeline's own
ingest, features, training, gate and scoring. The truth and the rules come from the raw tables.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.dataset as pa_dataset
from pydantic import SecretStr

from models.repurchase.metrics import f1_of, timing_metrics
from pipelines.io.lake import Lake
from pipelines.lab.bench.one_per_product import one_model_per_product
from pipelines.lab.bench.result import BenchResult
from pipelines.lab.bench.shop_truth import ShopTruth, read_truth, rounded
from pipelines.lab.memory import PeakMemory
from pipelines.measure import Stopwatch
from pipelines.settings import Settings
from pipelines.sources.ingest import ingest
from pipelines.steps import gate, prepare, score, train
from pipelines.usecases.repurchase import USECASE
from pipelines.usecases.repurchase.params import RepurchaseParams
from pipelines.usecases.repurchase.schemas import BASKETS, NEXT_ORDERS

#: First day that is not known: the day after the last known one.
AS_OF = date(2011, 9, 10)
_ARRIVED = datetime.combine(date(2011, 12, 10), datetime.min.time())

#: The data end 91 days later. Nine months of history and no late rows: short spacing, no settling.
OVERRIDES = {
    "horizon_days": 91,
    "features.max_candidates": 400,
    "features.settle_days": 0,
    "snapshots.count": 19,
    "snapshots.spacing_days": 10,
    "snapshots.observed_days": 14,
    "basket.rounds": 400,
    "basket.learning_rate": 0.05,
    "basket.max_depth": 4,
    "basket.n_models": 3,
}
_KEY = "key of the benches"

Floats = np.ndarray[Any, np.dtype[np.float64]]


def run(*, data: Path, say: Callable[[str], None] = lambda line: None) -> BenchResult:
    """Foretell the next order of every customer and hold it against what came.

    ``f1_ratio_to_best_baseline`` is F1 per order over that of the better list rule; ``mae_days_ratio_to_baseline`` the
    mean absolute error in days over that of the customer's median gap (of all customers' for those with one order).
    Both are over all customers who came back by the end of the data.

    Parameters
    ----------
    data : Path
        The folder with ``Online_Retail.parquet``.
    """
    params, watch = USECASE.load_params(Settings.load(), OVERRIDES), Stopwatch()
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as name, PeakMemory() as memory:
        settings = Settings(var=Path(name) / "var", lake="", pseudonym_key=SecretStr(_KEY))
        lake = Lake.of(settings)
        with watch.phase("ingest"):
            ingest("repurchase", data, source="online_retail", settings=settings, ingested_at=_ARRIVED)
        say(f"ingested in {watch.seconds['ingest']:.0f} s")
        with watch.phase("features"):
            prepare.run(USECASE, AS_OF, settings=settings, params=params, training=True)
        say(f"features in {watch.seconds['features']:.0f} s")
        with watch.phase("train"):
            trained = train.run(USECASE, AS_OF, settings=settings, params=params)
            verdict = gate.run(USECASE, AS_OF, settings=settings, params=params)
        say(f"trained in {watch.seconds['train']:.0f} s: {verdict['words']}")
        with watch.phase("score"):
            scored = score.run(USECASE, AS_OF, settings=settings, params=params, alias="challenger")
        truth = read_truth(lake, AS_OF)
        metrics, peers = compare(lake, truth, params)
        say(f"F1 {metrics['f1']}, {metrics['f1_ratio_to_best_baseline']} of the best rule's")
        with watch.phase("one_per_product"):
            peers["one_model_per_product"] = one_model_per_product(
                USECASE.run(AS_OF, settings, params), truth
            )
    return BenchResult(
        bench="online-retail",
        metrics={
            **metrics,
            **{f"seconds_{phase}": round(seconds, 2) for phase, seconds in watch.seconds.items()},
            "waits_trained": trained["waits_trained"],
            "pairs_trained": trained["pairs_trained"],
            "candidates": scored["candidates"],
            "gate": verdict["outcome"],
        },
        seconds=round(sum(watch.seconds.values()), 2),
        peak_rss_mb=round(memory.peak_mb, 1),
        peers=peers,
    )


def compare(lake: Lake, truth: ShopTruth, params: RepurchaseParams) -> tuple[dict[str, Any], dict[str, Any]]:
    """Metrics of the stored predictions, and those of the rules on the same customers."""
    own = pa_dataset.field("as_of") == AS_OF
    predicted = pl.DataFrame(lake.read(NEXT_ORDERS, where=own)).with_columns(as_of=pl.lit(AS_OF))
    truth = replace(
        truth, customers=truth.customers.join(predicted.select("customer_key"), on="customer_key", how="semi")
    )
    rows = truth.customers.join(predicted.drop("orders"), on="customer_key").sort("customer_key")
    listed = pl.DataFrame(lake.read(BASKETS, columns=["customer_key", "product_id"], where=own))
    back = rows["days"].is_not_null().to_numpy()
    days = rows["days"].to_numpy().astype(np.float64)[back]
    low, high = (
        (rows[name] - pl.Series([AS_OF])).dt.total_days().to_numpy()[back]
        for name in ("window_from", "window_to")
    )
    dates = timing_metrics(days, rows["expected_days"].to_numpy()[back], low, high)
    gap = truth.median_gap()[back]
    bgnbd, bgnbd_probability = truth.bgnbd(params.horizon_days)
    lists = truth.judge(listed)
    peers: dict[str, Any] = {
        "last_order": truth.judge(truth.last_order_again()),
        "most_frequent": truth.judge(truth.most_frequent()),
        "median_gap": timing_metrics(days, gap),
        "bgnbd": timing_metrics(days, bgnbd[back])
        | {"mean_return_probability": float(bgnbd_probability.mean())},
    }
    best = max(peers[name]["f1"] for name in ("last_order", "most_frequent"))
    several = rows["orders"].to_numpy()[back] >= 2
    outcome = truth.outcome(listed)
    whole = f1_of(outcome["named"], outcome["hits"], outcome["bought"])
    metrics = {
        **rounded(lists),
        **rounded(dates),
        "f1_ratio_to_best_baseline": round(lists["f1"] / best, 4),
        "mae_days_ratio_to_baseline": round(dates["mae_days"] / peers["median_gap"]["mae_days"], 4),
        "mae_days_ratio_with_two_orders": round(
            float(
                np.abs(rows["expected_days"].to_numpy()[back] - days)[several].mean()
                / np.abs(gap - days)[several].mean()
            ),
            4,
        ),
        "f1_of_whole_orders": round(float(whole.mean()), 4),
        "customers": rows.height,
        "returned": int(back.sum()),
        "expected_returns": round(float(rows["return_probability"].sum()), 1),
        "returned_with_two_orders": int(several.sum()),
        "orders_judged": outcome.height,
        "products_repeated": int(outcome["repeated"].sum()),
    }
    return metrics, {name: rounded(found) for name, found in peers.items()}
