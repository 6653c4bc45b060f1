"""Bench of the demand use case: a simulated chain, one night, and a year of nights beside the truth."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from pipelines.errors import ConfigError
from pipelines.io.registry import CHALLENGER
from pipelines.lab.bench.demand_year import FLOOR, OURS, train_on, year
from pipelines.lab.bench.result import BenchResult
from pipelines.lab.local import LocalStack, Ports
from pipelines.lab.memory import PeakMemory
from pipelines.lab.simulation.demand import generate
from pipelines.measure import Stopwatch
from pipelines.settings import Settings
from pipelines.sources.ingest import ingest
from pipelines.steps import prepare, publish, score
from pipelines.usecases.demand import USECASE

AS_OF = date(2026, 1, 5)

#: The chain by which the growth is judged is so many times smaller.
TIMES_SMALLER = 10
#: Of fewer sales, nothing is learnt.
LEAST_ROWS = 10_000

#: Days of the truth that are kept to judge a year by.
_TRUTH_DAYS = 364


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
    quarters: int = 4,
    say: Callable[[str], None] = lambda line: None,
) -> BenchResult:
    """Generate and land a chain, train on it, run one night, and a night of a chain a tenth of its size.

    Then the chain lives a year: trained each quarter, served each month, judged by the demand behind its sales, beside the
    least possible error and the libraries a user would pick instead. Of 800,000 rows, that takes most of an hour.

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
    quarters
        Quarters that the chain lives, three nights each; 0 for none.
    """
    if rows < LEAST_ROWS:
        raise ConfigError(f"rows must be at least {LEAST_ROWS:,} for a chain to train on, got {rows:,}")
    watch, started = Stopwatch(), time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as name:
        folder = Path(name)
        large = Settings(var=folder / "large", lake="")
        small = Settings(var=folder / "small", lake="", mlflow_tracking_uri=large.tracking_uri)
        size = Chain(stores, skus, rows, seed)
        with PeakMemory() as memory:
            generated, landed = _land(large, size, watch, say)
            with PeakMemory() as training:
                trained, verdict = train_on(large, AS_OF, watch)
            say(f"trained in {watch.seconds['train']:.0f} s, {training.peak_mb:.0f} MB: {verdict['words']}")
            night = _night(large, say)
            _land(small, size.tenth, Stopwatch(), say)
            before = _night(small, say)
            lived, seconds = {}, Stopwatch()
            if quarters:
                lived = year(large, AS_OF, quarters, seconds, say)
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
                "seconds_train": round(watch.seconds["train"], 1),
                "training_peak_mb": round(training.peak_mb, 0),
                "series_tenth": before.series,
                "seconds_night_tenth": round(before.total, 1),
                "growth_series": round(night.series / before.series, 2),
                "growth_seconds": round(night.total / before.total, 2),
                "gate": verdict["outcome"],
                "champions": trained["champions"],
                "year": lived.pop(OURS, None),
                "year_noise_floor": lived.pop(FLOOR, None),
                "year_seconds": {name: round(value, 1) for name, value in seconds.seconds.items()},
            },
            seconds=round(time.perf_counter() - started, 1),
            peak_rss_mb=round(memory.peak_mb, 1),
            peers=lived,
        )


def _land(settings: Settings, chain: Chain, watch: Stopwatch, say: Callable[[str], None]) -> tuple[int, int]:
    """Generate a chain and land its files; returns the sales rows generated and landed."""
    files = settings.var / "data" / "demand"
    with watch.phase("generate"):
        made = generate(
            chain.stores, chain.skus, chain.rows, chain.seed, files, end=AS_OF, kept_days=_TRUTH_DAYS
        )
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
