"""Bench of the imputation: a factor model with known truth, its missing cells drawn m times."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.imputation.draws import conditional_means
from models.imputation.em import Incomplete, Moments
from models.imputation.imputer import BootstrapEMImputer
from models.imputation.pooling import pool
from pipelines.lab.bench.impute_peer import run_peers
from pipelines.lab.bench.result import BenchResult, peak_rss_mb

Floats = NDArray[np.float64]

FACTORS, MISSING_SHARE = 5, 0.2
#: Rows simulated, and judged, at once.
CHUNK = 50_000
THREADS = 2
#: Most cells of a table that the peers are given too.
PEER_CELLS = 1_000_000


def run(
    *,
    rows: int = 10_000,
    cols: int = 20,
    m: int = 5,
    seed: int = 0,
    say: Callable[[str], None] = lambda line: None,
) -> BenchResult:
    """Impute a simulated table: five factors, 20 % of the cells missing completely at random.

    ``seconds`` is the fit and all draws with two threads, after the compiler has run once on a small table
    (``seconds_compile``; its results are kept on disk). ``rmse_ratio`` compares the error of the mean of m draws with
    that of m draws from the conditional normal of the true parameters, ``rmse_ratio_expected`` the conditional means
    (``transform``) with the true ones: nothing can be nearer to 1 from below. ``interval_coverage`` is that of the
    pooled 95 % intervals of the column means over the columns, whose errors are correlated; 500 repetitions are in
    the tests. ``peers`` are given the same table.

    Parameters
    ----------
    rows
        Rows of the table.
    cols
        Columns of the table.
    m
        Completed data sets.
    seed
        Seed of the simulation.
    """
    covariance = true_covariance(cols, seed)
    clock = time.perf_counter()
    small = simulate(200, covariance, seed)
    BootstrapEMImputer(2, n_jobs=THREADS).fit(small).complete(small)
    compiled = time.perf_counter() - clock
    say(f"{compiled:6.2f} s  compiled")
    table = simulate(rows, covariance, seed)
    clock, processor = time.perf_counter(), time.process_time()
    imputer = BootstrapEMImputer(m, n_jobs=THREADS, random_state=seed).fit(table)
    fitted = time.perf_counter() - clock
    say(f"{fitted:6.2f} s  fit: {imputer.report_.reference.words}")
    drawing, judge = 0.0, Judge(table, covariance, seed)
    clock = time.perf_counter()
    for completed in imputer.iter_completed():
        drawing += time.perf_counter() - clock
        judge.see(completed)
        clock = time.perf_counter()
    cpu = time.process_time() - processor
    say(f"{drawing:6.2f} s  {m} data sets drawn")
    metrics = {
        "rows": rows,
        "cols": cols,
        "m": m,
        "missing_share": float(np.isnan(table).mean()),
        "seconds_fit": round(fitted, 3),
        "seconds_draws": round(drawing, 3),
        "seconds_compile": round(compiled, 3),
        "cpu_seconds_with_judging": round(cpu, 3),
        "iterations": [chain.iterations for chain in imputer.report_.chains],
        "converged": imputer.report_.converged,
        "condition": imputer.report_.reference.condition,
        **judge.metrics(imputer),
    }
    peak = peak_rss_mb()
    peers = run_peers(table, m, seed, say) if table.size <= PEER_CELLS else {}
    return BenchResult("impute", metrics, round(fitted + drawing, 3), round(peak, 1), peers)


def true_covariance(cols: int, seed: int) -> Floats:
    """Correlations of columns that five factors drive."""
    loadings = np.random.default_rng([seed, 1]).normal(size=(cols, FACTORS))
    covariance = loadings @ loadings.T + np.eye(cols)
    scale = np.sqrt(np.diag(covariance))
    return np.asarray(covariance / np.outer(scale, scale))


def simulate(rows: int, covariance: Floats, seed: int) -> Floats:
    """The table, NaN where missing."""
    out = np.empty((rows, len(covariance)))
    for part, (values, missing) in _chunks(rows, covariance, seed):
        out[part] = np.where(missing, np.nan, values)
    return out


def _chunks(
    rows: int, covariance: Floats, seed: int
) -> Iterator[tuple[slice, tuple[Floats, NDArray[np.bool_]]]]:
    """Truth and missing cells, a chunk of rows at a time: a large truth is simulated again rather than kept."""
    factor = np.linalg.cholesky(covariance)
    for k, first in enumerate(range(0, rows, CHUNK)):
        rng = np.random.default_rng([seed, 2, k])
        size = min(CHUNK, rows - first)
        values = rng.standard_normal((size, len(covariance))) @ factor.T
        yield slice(first, first + size), (values, np.less(rng.random(values.shape), MISSING_SHARE))


class Judge:
    """Compares completed data sets with the truth, chunk by chunk."""

    def __init__(self, table: Floats, covariance: Floats, seed: int) -> None:
        self.table = table
        self.covariance = covariance
        self.seed = seed
        self.sum = np.zeros(int(np.isnan(table).sum()))
        self.estimates: list[Floats] = []
        self.variances: list[Floats] = []

    def see(self, completed: Floats) -> None:
        """Take a completed data set."""
        gaps = np.isnan(self.table)
        self.sum += completed[gaps]
        mean, n = completed.mean(axis=0), len(completed)
        parts = (completed[first : first + CHUNK] for first in range(0, n, CHUNK))
        squares = np.sum([np.square(part - mean).sum(axis=0) for part in parts], axis=0)
        self.estimates.append(mean)
        self.variances.append(squares / (n - 1) / n)

    def metrics(self, imputer: BootstrapEMImputer) -> dict[str, Any]:
        """Errors beside those of the true parameters."""
        m = len(self.estimates)
        place, cells = 0, 0
        ours = expected = best = 0.0
        moments = Moments.of(np.zeros(len(self.covariance)), self.covariance)
        for part, (values, missing) in _chunks(len(self.table), self.covariance, self.seed):
            truth = values[missing]
            size = len(truth)
            data = Incomplete.of(self.table[part].copy())
            ours += float(np.square(self.sum[place : place + size] / m - truth).sum())
            best += float(np.square(conditional_means(data, moments) - truth).sum())
            expected += float(np.square(imputer.transform(self.table[part])[missing] - truth).sum())
            place, cells = place + size, cells + size
        if place != len(self.sum):
            raise AssertionError("the simulation is not the same again")
        optimum = np.sqrt(best / cells)
        pooled = pool(np.array(self.estimates), np.array(self.variances))
        inside = (pooled.low <= 0) & (pooled.high >= 0)
        return {
            "rmse": float(np.sqrt(ours / cells)),
            "rmse_optimum": float(optimum * np.sqrt(1 + 1 / m)),
            "rmse_ratio": float(np.sqrt(ours / cells) / (optimum * np.sqrt(1 + 1 / m))),
            "rmse_expected": float(np.sqrt(expected / cells)),
            "rmse_optimum_expected": float(optimum),
            "rmse_ratio_expected": float(np.sqrt(expected / cells) / optimum),
            "covariance_max_error": float(np.abs(imputer.covariance_ - self.covariance).max()),
            "interval_coverage": float(np.mean(inside)),
            "fmi_mean": float(np.mean(pooled.fmi)),
        }
