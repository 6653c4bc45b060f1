"""Bench of the reconciliation: a retailer's hierarchy at full size, exactness on small ones, the library beside."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.forecasting.reconcile import METHODS, Method, Reconciled, Tree, reconcile
from pipelines.lab.bench.reconcile_small import largest_differences
from pipelines.lab.bench.result import BenchResult, peak_rss_mb

Floats = NDArray[np.float64]

PRODUCTS, REGIONS = 8_000, 10  # products of each store; regions
SMALL_TREES = 500
#: Sizes at which the library is timed too, beside the bench's own, and the seconds it gets for each.
PEER_LEAVES, PEER_CPU_SECONDS = (30_000, 120_000), 80


def run(
    *,
    leaves: int = 1_200_000,
    horizon: int = 14,
    seed: int = 0,
    say: Callable[[str], None] = lambda line: None,
) -> BenchResult:
    """Reconcile ``leaves`` series of a simulated retailer by every method.

    Seconds include checking the base forecasts and the certificate, on one core; those of the processor beside
    them tell how busy the machine was. ``negatives`` are values below zero in
    the result. ``dense_max_difference`` is that from textbook solutions by explicit matrices, over small
    random trees. ``peers`` is ``hierarchicalforecast``: its methods on ready arrays, without the time for its
    data frames, each size in a process of its own whose memory is limited and not counted here.

    Parameters
    ----------
    leaves
        Bottom series.
    horizon
        Days ahead.
    seed
        Seed of the simulation.
    """
    started = clock = time.perf_counter()
    tree = Tree.from_frame(retailer(leaves))
    seconds_tree = time.perf_counter() - clock
    base, variances = forecasts(tree, horizon, seed)
    seconds: dict[str, float] = {}
    processor: dict[str, float] = {}
    certificates = {}
    for method in METHODS:
        for nonnegative in (False, True):
            label = f"{method}_nonnegative" if nonnegative else method
            clock, used = time.perf_counter(), time.process_time()
            certificate = solve(tree, base, variances, method, nonnegative=nonnegative).certificate
            seconds[label] = round(time.perf_counter() - clock, 3)
            processor[label] = round(time.process_time() - used, 3)
            certificates[label] = certificate
            say(f"{seconds[label]:6.2f} s  {certificate.words}")
    found = certificates.values()
    metrics = {
        "leaves": leaves,
        "nodes": len(tree),
        "horizon": horizon,
        "seconds_tree": round(seconds_tree, 3),
        "slowest_method_seconds": max(seconds.values()),
        "slowest_method_cpu_seconds": max(processor.values()),
        "seconds": seconds,
        "max_incoherence": max(one.incoherence for one in found),
        "max_incoherence_relative": float(f"{max(one.incoherence_relative for one in found):.2g}"),
        "certificates": len(certificates),
        "certificates_clean": sum(one.ok for one in found),
        "negatives": {label: one.negatives for label, one in certificates.items()},
        "dense_trees": SMALL_TREES,
        "dense_max_difference": max(largest_differences(SMALL_TREES, seed).values()),
    }
    peak = peak_rss_mb()  # before the peers, whose memory it would count
    peers = {}
    for size in [*(size for size in PEER_LEAVES if size < leaves), leaves]:
        say(f"hierarchicalforecast over {size:,} leaves")
        peers[f"hierarchicalforecast_{size}"] = peer(size, horizon, seed)
    return BenchResult("reconcile", metrics, round(time.perf_counter() - started, 2), round(peak, 1), peers)


def retailer(leaves: int) -> dict[str, NDArray[Any]]:
    """Regions, stores and products of so many leaves."""
    store, sku = np.divmod(np.arange(leaves), PRODUCTS)

    def named(letter: str, numbers: NDArray[Any]) -> NDArray[Any]:
        names = np.array([f"{letter}{i:05d}" for i in range(int(numbers.max()) + 1)], dtype=object)
        return np.asarray(names[numbers])

    return {"region": named("R", store % REGIONS), "store_id": named("S", store), "sku_id": named("K", sku)}


def forecasts(tree: Tree, horizon: int, seed: int) -> tuple[dict[str, NDArray[Any]], dict[str, Floats]]:
    """Base forecasts and their error variances, by level.

    Leaves are intermittent: Poisson demand of very different rates, forecast by the mean of four such days,
    so that many are zero. Other levels have forecasts of their own, right to about 3 %.
    """
    rng = np.random.default_rng(seed)
    rate = rng.lognormal(-0.7, 1.3, len(tree.leaves))
    week = np.array([0.9, 0.85, 0.9, 1.0, 1.2, 1.4, 0.75])[np.arange(horizon) % 7]
    expected = np.zeros(len(tree))
    expected[tree.leaves] = rate
    mean = tree.sum_up(expected)
    base: dict[str, NDArray[Any]] = {}
    variances: dict[str, Floats] = {}
    for level, nodes in tree.levels.items():
        rates = mean[nodes]
        if level == tree.leaf_level:
            base[level] = (rng.poisson(4 * rates[:, None], (len(rates), horizon)) / 4 * week).astype(
                np.float32
            )
            variances[level] = rates / 4
        else:
            base[level] = rates[:, None] * week * rng.normal(1, 0.03, (len(rates), horizon))
            variances[level] = (0.03 * rates) ** 2
    return base, variances


def solve(
    tree: Tree, base: Mapping[str, Any], variances: Mapping[str, Any], method: Method, *, nonnegative: bool
) -> Reconciled:
    """Reconcile by a method with what it takes; a leaf's variance is in proportion to its sales."""
    return reconcile(
        tree,
        base,
        method=method,
        variances=variances if method == "wls" else None,
        shares=variances[tree.leaf_level] if method == "top_down" else None,
        nonnegative=nonnegative,
    )


def peer(leaves: int, horizon: int, seed: int) -> dict[str, Any]:
    """What the library does with the same forecasts, by method; methods not reached in time are missing."""
    command = [
        sys.executable,
        "-m",
        "pipelines.lab.bench.reconcile_peer",
        str(leaves),
        str(horizon),
        str(seed),
        str(PEER_CPU_SECONDS),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own module
    found: dict[str, Any] = {}
    for line in done.stdout.splitlines():
        found |= json.loads(line)
    if done.returncode == -signal.SIGXCPU:
        found["ended"] = f"stopped after {PEER_CPU_SECONDS} CPU seconds"
    elif done.returncode:
        found["ended"] = f"ended with exit code {done.returncode}"
    return found
