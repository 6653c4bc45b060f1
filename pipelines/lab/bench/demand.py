"""Bench of the demand use case: a simulated chain, one night, and the truth beside it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from pipelines.errors import ConfigError
from pipelines.io.lake import Lake, on_day
from pipelines.io.registry import CHALLENGER
from pipelines.lab.bench.result import BenchResult
from pipelines.lab.local import LocalStack, Ports
from pipelines.lab.memory import PeakMemory
from pipelines.lab.simulation.demand import generate
from pipelines.measure import Stopwatch
from pipelines.settings import Settings
from pipelines.sources.ingest import ingest
from pipelines.steps import gate, prepare, publish, score, train
from pipelines.usecases.demand import USECASE
from pipelines.usecases.demand.params import DemandParams
from pipelines.usecases.demand.schemas import FORECASTS, SEGMENTS

AS_OF = date(2026, 1, 5)

#: The chain by which the growth is judged, and on which the models are trained, is so many times smaller.
TIMES_SMALLER = 10
#: Of fewer sales, nothing is learnt.
LEAST_ROWS = 10_000

#: Days ahead at which the targets hold.
_HORIZON = 7


@dataclass(frozen=True)
class Chain:
    """Size of a simulated chain."""

    stores: int
    skus: int
    rows: int
    seed: int

    @property
    def tenth(self) -> Chain:
        """Chain with a tenth of the stores, products and rows: as many products a store."""
        stores, skus = max(2, self.stores // TIMES_SMALLER), max(10, self.skus // TIMES_SMALLER)
        return Chain(stores, skus, self.rows // TIMES_SMALLER, self.seed)


@dataclass(frozen=True)
class Night:
    """One nightly run.

    Attributes
    ----------
    seconds
        By stage: features, read, forecast, reconcile, commit, publish.
    series, items
        Series forecast, items published.
    peak_mb
        Largest memory of all processes together, the twin of DynamoDB included.
    """

    seconds: dict[str, float]
    series: int
    items: int
    peak_mb: float

    @property
    def total(self) -> float:
        """Seconds of the whole night."""
        return sum(self.seconds.values())


def run(
    *,
    rows: int = 8_000_000,
    stores: int = 150,
    skus: int = 8_000,
    seed: int = 0,
    say: Callable[[str], None] = lambda line: None,
) -> BenchResult:
    """Generate and land a chain, train on one a tenth of its size, and run one night at both sizes.

    The models are global or refitted every night, so that they serve a larger chain as they are; training
    at full size is a weekly job and not timed here. ``mape_j7`` is of days with demand, seven days ahead,
    of the series that sell enough for a percentage to mean something (``monitoring.min_units``); its
    ``noise_floor_j7`` is the same error of the simulation's own mean.

    Parameters
    ----------
    rows
        Sales rows of the chain.
    stores
        Stores of the chain.
    skus
        Products of the chain.
    seed
        Seed of the simulation.
    """
    if rows < LEAST_ROWS:
        raise ConfigError(f"rows must be at least {LEAST_ROWS:,} for a chain to train on, got {rows:,}")
    watch = Stopwatch()
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as name:
        folder = Path(name)
        small = Settings(var=folder / "small", lake="")
        size = Chain(stores, skus, rows, seed)
        with PeakMemory() as memory:
            _land(small, size.tenth, Stopwatch(), say)
            with watch.phase("train"):
                prepare.run(USECASE, AS_OF, settings=small, training=True)
                trained = train.run(USECASE, AS_OF, settings=small)
                verdict = gate.run(USECASE, AS_OF, settings=small)
            say(f"trained in {watch.seconds['train']:.0f} s: {verdict['words']}")
            before = _night(small, say)
            large = Settings(var=folder / "large", lake="", mlflow_tracking_uri=small.tracking_uri)
            generated, landed = _land(large, size, watch, say)
            night = _night(large, say)
        accuracy = _accuracy(large, USECASE.load_params(large))
        return BenchResult(
            bench="demand",
            metrics={
                "series": night.series,
                "sales_rows": landed,
                "generated_rows": generated,
                **{f"seconds_{stage}": round(seconds, 1) for stage, seconds in night.seconds.items()},
                "seconds_night": round(night.total, 1),
                "series_per_second": round(night.series / night.total, 1),
                "night_peak_mb": round(night.peak_mb, 0),
                "items_published": night.items,
                "seconds_generate": round(watch.seconds["generate"], 1),
                "seconds_ingest": round(watch.seconds["ingest"], 1),
                "seconds_train_tenth": round(watch.seconds["train"], 1),
                "series_tenth": before.series,
                "seconds_night_tenth": round(before.total, 1),
                "growth_series": round(night.series / before.series, 2),
                "growth_seconds": round(night.total / before.total, 2),
                "gate": verdict["outcome"],
                "champions": trained["champions"],
                **accuracy,
            },
            seconds=round(sum(watch.seconds.values()) + night.total + before.total, 1),
            peak_rss_mb=round(memory.peak_mb, 1),
        )


def _land(settings: Settings, chain: Chain, watch: Stopwatch, say: Callable[[str], None]) -> tuple[int, int]:
    """Generate a chain and land its files; returns the sales rows generated and landed."""
    files = settings.var / "data" / "demand"
    with watch.phase("generate"):
        made = generate(chain.stores, chain.skus, chain.rows, chain.seed, files, end=AS_OF)
    with watch.phase("ingest"):
        arrived = datetime.combine(AS_OF, datetime.min.time())
        report = ingest("demand", files, settings=settings, ingested_at=arrived)
    landed = next(table.landed for table in report.tables if table.table == "sales")
    say(
        f"{chain.stores} stores, {landed:,} sales rows: generated in {watch.seconds['generate']:.0f} s, landed in "
        f"{watch.seconds['ingest']:.0f} s"
    )
    return made.rows["sales"], landed


def _night(settings: Settings, say: Callable[[str], None]) -> Night:
    """Features, forecasts, reconciliation both ways, commit and publication."""
    watch = Stopwatch()
    with PeakMemory() as memory, LocalStack(settings, Ports.free()) as stack:
        stack.start_dynamodb()
        with watch.phase("features"):
            prepare.run(USECASE, AS_OF, settings=settings)
        with watch.phase("score"):
            scored = score.run(USECASE, AS_OF, settings=settings, alias=CHALLENGER)
        with stack.reaching_dynamodb() as reached, watch.phase("publish"):
            published = publish.run(USECASE, AS_OF, settings=reached, force=True)
    told: dict[str, float] = scored["seconds"]
    seconds = {
        "features": watch.seconds["features"],
        **told,
        "commit": max(watch.seconds["score"] - sum(told.values()), 0.0),
        "publish": watch.seconds["publish"],
    }
    night = Night(seconds, scored["series"], int(published["ok"]), memory.peak_mb)
    stages = ", ".join(f"{stage} {value:.0f}" for stage, value in seconds.items())
    say(f"night of {night.series:,} series in {night.total:.0f} s ({stages}); {night.peak_mb:.0f} MB")
    return night


def _accuracy(settings: Settings, params: DemandParams) -> dict[str, Any]:
    """MAPE seven days ahead by segment, beside the targets and the least error that is possible."""
    lake = Lake.of(settings)
    day = on_day(AS_OF)
    columns = ["store_id", "sku_id", "ds", "horizon", "operational", "segment"]
    rows = pl.DataFrame(lake.read(FORECASTS, columns=columns, where=day))
    profile = pl.DataFrame(
        lake.read("features/demand_profile", columns=["store_id", "sku_id", "mean_quantity"], where=day)
    )
    truth = pl.read_parquet(settings.var / "data" / "demand" / "truth" / "latent_demand.parquet")
    joined = (
        rows.filter(pl.col("horizon") == _HORIZON)
        .join(truth, on=["store_id", "sku_id", "ds"])
        .join(profile, on=["store_id", "sku_id"])
        .filter(pl.col("demand") > 0)
    )
    enough = joined.filter(pl.col("mean_quantity") >= params.monitoring.min_units)
    found: dict[str, Any] = {"judged_j7": joined.height, "judged_j7_enough": enough.height}
    for segment in SEGMENTS:
        part = enough.filter(pl.col("segment") == segment)
        if part.height:
            actual = part["demand"].to_numpy()
            found[f"mape_j7_{segment}"] = _mape(actual, part["operational"].to_numpy())
            found[f"noise_floor_j7_{segment}"] = _mape(actual, part["expected"].to_numpy())
            found[f"target_j7_{segment}"] = getattr(params.targets, segment)
            found[f"judged_j7_{segment}"] = part.height
    actual = joined["demand"].to_numpy()
    for name, column in (("wape_j7", "operational"), ("wape_floor_j7", "expected")):
        error = np.abs(joined[column].to_numpy() - actual).sum() / actual.sum()
        found[name] = round(float(error), 4)
    return found


def _mape(actual: Any, forecast: Any) -> float:
    return round(float(np.mean(np.abs(forecast - actual) / actual)), 4)
