"""Bench of the repurchase use case: a simulated grocer of Instacart's size through every step, and the truth beside it.

200,000 customers are 3.4 million orders and 32 million lines, about the size of Instacart's public data. Everything is
also done at a tenth of the size, by which the growth is judged.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.dataset as pa_dataset
from pydantic import SecretStr

from features.pseudonyms import pseudonymise
from models.repurchase.metrics import timing_metrics
from pipelines.io.lake import Lake
from pipelines.lab.bench.result import BenchResult
from pipelines.lab.bench.shop_truth import ShopTruth, read_truth, rounded, with_next
from pipelines.lab.memory import PeakMemory
from pipelines.lab.simulation.repurchase import DEFAULT_END, generate
from pipelines.measure import Stopwatch
from pipelines.settings import Settings
from pipelines.sources.ingest import ingest
from pipelines.steps import gate, prepare, score, train
from pipelines.usecases.repurchase import USECASE
from pipelines.usecases.repurchase.params import RepurchaseParams
from pipelines.usecases.repurchase.schemas import BASKETS, NEXT_ORDERS

#: The shop by which the growth is judged has so many times fewer customers.
TIMES_SMALLER = 10

#: Customers, a random sample, on whom the predictions are held against the truth.
JUDGED_CUSTOMERS = 10_000

#: Stages that the budget of 30 minutes is for.
BUDGETED = ("features", "train", "score")
#: Memory of DuckDB in the dbt run.
_DBT_MEMORY = "4GB"
_KEY = "key of the benches"


@dataclass
class Stages:
    """Seconds and memory by stage."""

    watch: Stopwatch = field(default_factory=Stopwatch)
    peak_mb: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure a block."""
        with PeakMemory() as memory, self.watch.phase(name):
            yield
        self.peak_mb[name] = round(memory.peak_mb, 1)

    @property
    def budgeted(self) -> float:
        """Seconds of features, training and scoring."""
        return sum(self.watch.seconds[name] for name in BUDGETED)


def run(
    *, customers: int = 200_000, seed: int = 0, say: Callable[[str], None] = lambda line: None
) -> BenchResult:
    """Generate, land, prepare, train, judge and score; measure each stage, at a tenth of the size first.

    ``seconds_pipeline`` are those of features, training and scoring: what the budget of 30 minutes is for. Accuracy is
    against the simulation's truth, on a sample of the customers.

    Parameters
    ----------
    customers
        Customers of the simulated shop, at least 500.
    seed
        Seed of the simulation.
    """
    # A third of the budget: with dbt's usual 2 GB the pairs of all customers would go to disk again and again.
    os.environ.setdefault("MILLRACE_DBT_MEMORY_LIMIT", _DBT_MEMORY)
    tenth, _ = _shop(max(500, customers // TIMES_SMALLER), seed, say)
    full, peers = _shop(customers, seed, say)
    growth = full["seconds_pipeline"] / tenth["seconds_pipeline"]
    return BenchResult(
        bench="repurchase",
        metrics={
            **full,
            "tenth": tenth,
            "times_the_seconds_of_a_tenth": round(growth, 2),
        },
        seconds=round(full["seconds_all"] + tenth["seconds_all"], 2),
        peak_rss_mb=max(full["peak_mb"].values()),
        peers=peers,
    )


def _shop(customers: int, seed: int, say: Callable[[str], None]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Take one shop through every step."""
    stages, as_of = Stages(), DEFAULT_END
    params = USECASE.load_params(Settings.load())
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as name:
        folder = Path(name)
        settings = Settings(var=folder / "var", lake="", pseudonym_key=SecretStr(_KEY))
        with stages.stage("generate"):
            report = generate(customers, seed, folder / "data")
        say(f"{customers:,} customers generated in {stages.watch.seconds['generate']:.0f} s")
        with stages.stage("ingest"):
            arrived = datetime.combine(as_of, datetime.min.time())
            ingest("repurchase", folder / "data", source="native", settings=settings, ingested_at=arrived)
        say(f"ingested in {stages.watch.seconds['ingest']:.0f} s")
        with stages.stage("features"):
            prepared = prepare.run(USECASE, as_of, settings=settings, params=params, training=True)
        say(f"features in {stages.watch.seconds['features']:.0f} s: {prepared['candidates']:,} candidates")
        with stages.stage("train"):
            trained = train.run(USECASE, as_of, settings=settings, params=params)
            verdict = gate.run(USECASE, as_of, settings=settings, params=params)
        say(f"trained in {stages.watch.seconds['train']:.0f} s: {verdict['words']}")
        with stages.stage("score"):
            scored = score.run(USECASE, as_of, settings=settings, params=params, alias="challenger")
        say(f"scored in {stages.watch.seconds['score']:.0f} s")
        found, peers = _against_truth(Lake.of(settings), folder / "data", as_of, params)
    seconds = {name: round(value, 1) for name, value in stages.watch.seconds.items()}
    return {
        "customers": customers,
        "rows_generated": _rows(report),
        "customers_scored": scored["scored"],
        "candidates": scored["candidates"],
        "waits_trained": trained["waits_trained"],
        "pairs_trained": trained["pairs_trained"],
        "seconds": seconds,
        "seconds_train": trained["seconds"],
        "seconds_score": scored["seconds"],
        "seconds_pipeline": round(stages.budgeted, 1),
        "seconds_all": round(sum(seconds.values()), 1),
        "peak_mb": stages.peak_mb,
        "gate": verdict["outcome"],
        **found,
    }, peers


def _rows(report: Any) -> dict[str, int]:
    return {str(name): int(count) for name, count in report.rows.items()}


def _against_truth(
    lake: Lake, data: Path, as_of: date, params: RepurchaseParams
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Metrics of the stored predictions and of the rules, on a sample of the customers who came back in time."""
    truth = _simulated(read_truth(lake, as_of, customers=JUDGED_CUSTOMERS), data, as_of, params.horizon_days)
    own = pa_dataset.field("as_of") == as_of
    predicted = pl.DataFrame(lake.read(NEXT_ORDERS, where=own)).drop("orders")
    rows = truth.customers.join(predicted, on="customer_key").sort("customer_key")
    kept = truth.customers.join(rows.select("customer_key"), on="customer_key", how="semi")
    truth = ShopTruth(kept, truth.lines, truth.before)
    listed = pl.DataFrame(
        lake.read(
            BASKETS,
            columns=["customer_key", "product_id"],
            where=own & (pa_dataset.field("customer_key") <= str(kept["customer_key"].max())),
        )
    )
    back = rows["days"].is_not_null().to_numpy()
    days = rows["days"].to_numpy().astype(np.float64)[back]
    start = pl.Series([as_of])
    low, high = (
        (rows[name] - start).dt.total_days().to_numpy()[back] for name in ("window_from", "window_to")
    )
    dates = timing_metrics(days, rows["expected_days"].to_numpy()[back], low, high)
    lists = truth.judge(listed)
    bgnbd, _ = truth.bgnbd(params.horizon_days)
    peers = {
        "last_order": truth.judge(truth.last_order_again()),
        "most_frequent": truth.judge(truth.most_frequent()),
        "median_gap": timing_metrics(days, truth.median_gap()[back]),
        "bgnbd": timing_metrics(days, bgnbd[back]),
    }
    best = max(peers[name]["f1"] for name in ("last_order", "most_frequent"))
    found = {
        **rounded(lists),
        **rounded(dates),
        "f1_ratio_to_best_baseline": round(lists["f1"] / best, 4),
        "mae_days_ratio_to_baseline": round(dates["mae_days"] / peers["median_gap"]["mae_days"], 4),
        "judged_customers": rows.height,
        "returned": int(back.sum()),
        "expected_returns": round(float(rows["return_probability"].sum()), 1),
    }
    return found, {name: rounded(values) for name, values in peers.items()}


def _simulated(truth: ShopTruth, data: Path, as_of: date, horizon_days: int) -> ShopTruth:
    """What the simulation knows of the next orders within the horizon."""
    orders = pl.read_parquet(data / "truth" / "next_orders.parquet")
    lines = pl.read_parquet(data / "truth" / "next_lines.parquet")
    names = orders.select("customer_id").unique().sort("customer_id")
    keys = names.with_columns(
        customer_key=pl.Series(pseudonymise(names["customer_id"].to_arrow(), key=_KEY.encode()))
    ).join(truth.customers.select("customer_key"), on="customer_key", how="semi")
    nexts = (
        orders.join(keys, on="customer_id")
        .with_columns(days=(pl.col("ordered_on") - pl.lit(as_of)).dt.total_days())
        .filter(pl.col("days") < horizon_days)
        .select("customer_key", "days")
    )
    return with_next(
        truth, nexts, lines.join(keys, on="customer_id").select("customer_key", "product_id").unique()
    )
