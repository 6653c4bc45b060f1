"""Bench of the timing model on CDNOW: the last 39 weeks foretold from the first 39, against BG/NBD.

Both know the dates of 23,570 customers up to 1997-09-30 and nothing else. The features are the pipeline's, through its
own ingest and dbt; so is the model of dates. Purchases are counted in days with a purchase, as by BG/NBD's authors.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import SecretStr
from sklearn.metrics import log_loss, roc_auc_score

from models.repurchase.bgnbd import BgNbd, History
from models.repurchase.metrics import timing_metrics
from models.repurchase.timing import NextOrderTiming
from pipelines.io.lake import Lake
from pipelines.lab.bench.result import BenchResult
from pipelines.lab.bench.shop_truth import rounded
from pipelines.lab.memory import PeakMemory
from pipelines.lab.purchase_counts import PurchaseCounts
from pipelines.measure import Stopwatch
from pipelines.settings import Settings
from pipelines.sources.ingest import ingest
from pipelines.steps import prepare
from pipelines.usecases.repurchase import USECASE
from pipelines.usecases.repurchase.dataset import read_scope, read_waits
from pipelines.usecases.repurchase.params import RepurchaseParams

Floats = NDArray[np.float64]

#: First day that is not known, and the first after the data.
AS_OF, END = date(1997, 10, 1), date(1998, 7, 1)
_ARRIVED = datetime.combine(END, datetime.min.time())
_KEY = "key of the benches"
_THREADS = 2

#: Days in which purchases are counted, and in which dates are judged: by ``AS_OF`` nobody had been observed longer
#: since the first quarter, in which every customer began.
COUNT_DAYS, DATE_DAYS = (END - AS_OF).days, 182

#: Fortnightly snapshots after that quarter, each seen until ``AS_OF``.
OVERRIDES = {
    "horizon_days": DATE_DAYS,
    "features.settle_days": 0,
    "snapshots.count": 13,
    "snapshots.spacing_days": 14,
    "snapshots.observed_days": 14,
}

#: Days of the windows in which purchases are counted for learning.
COUNTED_DAYS = (91, 126, 161)


def run(*, data: Path, say: Callable[[str], None] = lambda line: None) -> BenchResult:
    """Foretell who comes back, when, and how often.

    ``returned`` metrics are of a return within 26 weeks, over all customers; ``mae_days`` is over those who did. Purchases
    are those of all 39 weeks, their errors per customer. ``peers`` has the same by BG/NBD.

    Parameters
    ----------
    data : Path
        The folder with ``cdnow.csv``.
    """
    params, watch = USECASE.load_params(Settings.load(), OVERRIDES), Stopwatch()
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as name, PeakMemory() as memory:
        settings = Settings(var=Path(name) / "var", lake="", pseudonym_key=SecretStr(_KEY))
        lake = Lake.of(settings)
        with watch.phase("ingest"):
            ingest("repurchase", data, source="cdnow", settings=settings, ingested_at=_ARRIVED)
        with watch.phase("features"):
            prepare.run(USECASE, AS_OF, settings=settings, params=params, training=True)
        say(f"features in {watch.seconds['features']:.0f} s")
        orders = _days(lake)
        here = USECASE.run(AS_OF, settings, params)
        X, keys = read_scope(here)
        waits = read_waits(here, params.origins(AS_OF))
        with watch.phase("bgnbd"):
            history = history_at(orders, AS_OF, keys["customer_key"].tolist())
            bgnbd = BgNbd.fit(history)
        with watch.phase("timing"):
            timing = NextOrderTiming(
                horizon_days=params.horizon_days, n_jobs=_THREADS, **params.timing.model_dump()
            )
            timing.fit(waits.X, waits.lasted, censored=waits.censored, customers=waits.keys["customer_key"])
            wait = timing.predict_wait(X)
        with watch.phase("counts"):
            counts = _fit_counts(orders, waits, params)
            purchases = counts.predict(X, history, float(COUNT_DAYS))
    after = _after(orders, keys["customer_key"].tolist())
    ours = _judge(after, wait.probability, wait.expected, purchases)
    theirs = _judge(
        after,
        bgnbd.returns_within(history, float(DATE_DAYS)),
        bgnbd.time_to_next(history, 0.5, float(DATE_DAYS)),
        bgnbd.expected_purchases(history, float(COUNT_DAYS)),
    )
    returned = after["days"].is_not_null().to_numpy()
    window = timing_metrics(
        after["days"].to_numpy()[returned], wait.expected[returned], wait.low[returned], wait.high[returned]
    )
    return BenchResult(
        bench="cdnow",
        metrics={
            **ours,
            "coverage": round(window["coverage"], 4),
            "window_days": round(window["window_days"], 2),
            "customers": after.height,
            "returned": int(returned.sum()),
            "purchases_actual": int(after["purchases"].sum()),
            "mae_purchases_ratio_to_bgnbd": round(ours["mae_purchases"] / theirs["mae_purchases"], 4),
            "rmse_purchases_ratio_to_bgnbd": round(ours["rmse_purchases"] / theirs["rmse_purchases"], 4),
            "mae_days_ratio_to_bgnbd": round(ours["mae_days"] / theirs["mae_days"], 4),
            "waits_trained": len(waits),
            **{f"seconds_{phase}": round(seconds, 2) for phase, seconds in watch.seconds.items()},
        },
        seconds=round(sum(watch.seconds.values()), 2),
        peak_rss_mb=round(memory.peak_mb, 1),
        peers={
            "bgnbd": {
                **theirs,
                "r": bgnbd.r,
                "alpha_weeks": bgnbd.alpha / 7,
                "a": bgnbd.a,
                "b": bgnbd.b,
            }
        },
    )


def _days(lake: Lake) -> pl.DataFrame:
    """Days with an order of each customer."""
    rows = pl.DataFrame(lake.read("raw/repurchase_orders", columns=["customer_key", "ordered_at"]))
    return (
        rows.select("customer_key", day=pl.col("ordered_at").dt.date()).unique().sort("customer_key", "day")
    )


def history_at(orders: pl.DataFrame, as_of: date, customers: list[str]) -> History:
    """What BG/NBD knows of some customers at the end of the day before ``as_of``, in days."""
    last = pl.lit(as_of) - pl.duration(days=1)
    past = (
        orders.filter(pl.col("day") < as_of)
        .group_by("customer_key")
        .agg(
            repeats=pl.len() - 1,
            recency=(pl.col("day").max() - pl.col("day").min()).dt.total_days(),
            age=(last - pl.col("day").min()).dt.total_days(),
        )
    )
    found = pl.DataFrame({"customer_key": customers}).join(
        past, on="customer_key", how="left", maintain_order="left"
    )
    return History.of(found["repeats"].cast(pl.Float64), found["recency"], found["age"])


def _fit_counts(orders: pl.DataFrame, waits: Any, params: RepurchaseParams) -> PurchaseCounts:
    """Learn counts from snapshots, in windows of several lengths that were over by ``AS_OF``."""
    frames, histories, aheads, counted = [], [], [], []
    for snapshot in sorted(set(waits.keys["as_of"])):
        rows = np.flatnonzero((waits.keys["as_of"] == snapshot).to_numpy())
        keys = waits.keys["customer_key"].iloc[rows].tolist()
        history = history_at(orders, snapshot, keys)
        for days in COUNTED_DAYS:
            if (AS_OF - snapshot).days < days:
                continue
            until = pl.lit(snapshot) + pl.duration(days=days)
            found = (
                orders.filter((pl.col("day") >= snapshot) & (pl.col("day") < until))
                .group_by("customer_key")
                .len()
            )
            joined = pl.DataFrame({"customer_key": keys}).join(
                found, on="customer_key", how="left", maintain_order="left"
            )
            frames.append(waits.X.iloc[rows])
            histories.append(history)
            aheads.append(np.full(len(rows), float(days)))
            counted.append(joined["len"].fill_null(0).to_numpy().astype(np.float64))
    return PurchaseCounts(n_jobs=_THREADS).fit(frames, histories, aheads, counted)


def _after(orders: pl.DataFrame, customers: list[str]) -> pl.DataFrame:
    """Days to the first purchase from ``AS_OF`` on, and purchases, of customers in order."""
    found = (
        orders.filter(pl.col("day") >= AS_OF)
        .group_by("customer_key")
        .agg(purchases=pl.len(), days=(pl.col("day").min() - pl.lit(AS_OF)).dt.total_days())
    )
    joined = pl.DataFrame({"customer_key": customers}).join(
        found, on="customer_key", how="left", maintain_order="left"
    )
    in_time = pl.when(pl.col("days") < DATE_DAYS).then(pl.col("days").cast(pl.Float64))
    return joined.with_columns(pl.col("purchases").fill_null(0), in_time.alias("days"))


def _judge(after: pl.DataFrame, probability: Floats, expected: Floats, purchases: Floats) -> dict[str, float]:
    returned = after["days"].is_not_null().to_numpy()
    actual = after["purchases"].to_numpy().astype(np.float64)
    error = purchases - actual
    return rounded(
        {
            "returned_auc": roc_auc_score(returned, probability),
            "returned_log_loss": log_loss(returned, np.clip(probability, 1e-6, 1 - 1e-6)),
            "returned_expected": probability.sum(),
            "mae_days": np.abs(expected[returned] - after["days"].to_numpy()[returned]).mean(),
            "purchases": purchases.sum(),
            "mae_purchases": np.abs(error).mean(),
            "rmse_purchases": np.sqrt((error**2).mean()),
            "correlation_purchases": np.corrcoef(purchases, actual)[0, 1],
        }
    )
