"""Bench of the Gower distances: speed, exactness with and without missing values, the usual choices beside."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial.distance import cdist, pdist, squareform

from models.clustering.gower import GowerSpace
from models.clustering.kinds import Kind
from pipelines.lab.bench.gower_peer import peer
from pipelines.lab.bench.result import BenchResult, peak_rss_mb

Floats = NDArray[np.float64]

#: Share of the columns that are numbers, as in the published comparison: 12 of 20.
NUMERIC_SHARE = 0.6
MISSING_SHARE = 0.1
#: Rows that are compared with all others in the reference with missing values, and among themselves pair by pair.
REFERENCE_ROWS, BRUTE_ROWS = 400, 60
#: Rows of a block of the reference: its results are compared and forgotten.
BLOCK = 500
#: The fastest of so many is told: other work on the machine only ever adds to the time.
REPEATS = 3
#: Rows up to which the composition of SciPy, which holds the distances twice and more, is timed.
SCIPY_ROWS = 10_000


def run(
    *,
    rows: int = 5_000,
    cols: int = 20,
    seed: int = 0,
    say: Callable[[str], None] = lambda line: None,
) -> BenchResult:
    """Compute all distances of ``rows`` simulated rows with ``cols`` columns.

    ``seconds`` is the time from the data frame to the full matrix in double precision, on one core, the fastest of
    three (of one, beyond 10,000 rows); the compiled loop was loaded before (``seconds_to_load``).
    ``max_abs_error`` is the largest difference from any of the references: the composition of SciPy's ``cdist``
    for all pairs of complete rows, a column-by-column reference for some rows against all with missing values,
    and a plain loop over pairs of some rows of all kinds.
    ``peak_rss_mb`` is taken before the peers run.

    Parameters
    ----------
    rows
        Rows of the table.
    cols
        Columns of the table.
    seed
        Seed of the simulation.
    """
    begun = time.perf_counter()
    small, kinds = table(20, cols, seed)
    GowerSpace(kinds).fit(small).pairwise(small)
    loading = time.perf_counter() - begun
    frame, kinds = table(rows, cols, seed)
    space = GowerSpace(kinds)
    seconds, processor = _timed(space, frame)
    say(f"{rows:,} rows x {cols} columns in {seconds:.2f} s")
    distances = space.pairwise(frame)
    metrics: dict[str, Any] = {
        "rows": rows,
        "cols": cols,
        "seconds_to_load": round(loading, 3),
        "cpu_seconds": round(processor, 3),
        "max_abs_error_complete": max(
            float(np.abs(distances[first : first + len(block)] - block).max())
            for first, block in composed_blocks(frame, kinds)
        ),
    }
    say(f"largest difference from SciPy's composition {metrics['max_abs_error_complete']:.1g}")
    del distances
    metrics["seconds_float32"] = round(_timed(GowerSpace(kinds, dtype="float32"), frame)[0], 3)
    gappy = with_gaps(frame, seed)
    metrics["seconds_missing"] = round(_timed(GowerSpace(kinds), gappy)[0], 3)
    metrics["max_abs_error_missing"] = _error_by_column(gappy, kinds)
    metrics["max_abs_error_kinds"] = _error_by_pair(seed)
    metrics["max_abs_error"] = max(value for name, value in metrics.items() if name.startswith("max_abs"))
    peak = peak_rss_mb()
    peers: dict[str, Any] = {}
    if rows <= SCIPY_ROWS:
        wall, used = fastest(lambda: composed(frame, kinds))
        peers["scipy"] = {"seconds": round(wall, 3), "cpu_seconds": round(used, 3)}
    else:
        peers["scipy"] = {
            "ended": f"not timed beyond {SCIPY_ROWS:,} rows: it holds all distances several times"
        }
    say("the package gower")
    peers["gower"] = peer(rows, cols, seed)
    return BenchResult("gower", metrics, round(seconds, 3), round(peak, 1), peers)


def fastest(run: Callable[[], object], repeats: int = REPEATS) -> tuple[float, float]:
    """Least seconds of some runs, on the clock and of the processor."""
    times = []
    for _ in range(repeats):
        clock, used = time.perf_counter(), time.process_time()
        run()
        times.append((time.perf_counter() - clock, time.process_time() - used))
    return min(wall for wall, _ in times), min(used for _, used in times)


def table(rows: int, cols: int, seed: int) -> tuple[pd.DataFrame, dict[str, Kind]]:
    """Random rows of so many columns, and the kinds of these."""
    rng = np.random.default_rng(seed)
    numeric = round(NUMERIC_SHARE * cols)
    columns: dict[str, Any] = {f"n{k}": rng.normal(size=rows) for k in range(numeric)}
    columns |= {
        f"c{k}": np.array(list("abcdefgh"))[rng.integers(0, 2 + k % 7, rows)] for k in range(cols - numeric)
    }
    return pd.DataFrame(columns), {
        name: Kind.NUMERIC if name.startswith("n") else Kind.NOMINAL for name in columns
    }


def with_gaps(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Leave out a tenth of the values; no row is left without any."""
    gone = np.random.default_rng([seed, 1]).random(frame.shape) < MISSING_SHARE
    gone[gone.all(axis=1), 0] = False
    return frame.mask(gone)


def composed(frame: pd.DataFrame, kinds: dict[str, Kind]) -> Floats:
    """What one would write with SciPy, for complete rows: a city-block and a Hamming distance."""
    numbers, codes = _numbers_and_codes(frame, kinds)
    parts = [pdist(numbers, "cityblock")] if numbers.size else []
    parts += [pdist(codes, "hamming") * codes.shape[1]] if codes.size else []
    return np.asarray(squareform(sum(parts) / len(kinds)))


def composed_blocks(frame: pd.DataFrame, kinds: dict[str, Kind]) -> Iterator[tuple[int, Floats]]:
    """The same, some rows against all at a time."""
    numbers, codes = _numbers_and_codes(frame, kinds)
    for first in range(0, len(frame), BLOCK):
        rows = slice(first, first + BLOCK)
        block = np.zeros((len(frame.iloc[rows]), len(frame)))
        if numbers.size:
            block += cdist(numbers[rows], numbers, "cityblock")
        if codes.size:
            block += cdist(codes[rows], codes, "hamming") * codes.shape[1]
        yield first, block / len(kinds)


def pair_by_pair(frame: pd.DataFrame, kinds: dict[str, Kind], weights: dict[str, float]) -> Floats:
    """Distances as the definition reads, one pair and one variable at a time; NaN where nothing is comparable."""
    records = [
        {name: None if pd.isna(value) else value for name, value in row.items()}
        for row in frame.to_dict("records")
    ]
    ranges = {
        name: (frame[name].max() - frame[name].min()) or 1.0
        for name, kind in kinds.items()
        if kind in (Kind.NUMERIC, Kind.ORDINAL)
    }
    out = np.zeros((len(records), len(records)))
    for i, left in enumerate(records):
        for j, right in enumerate(records):
            total = weight = 0.0
            for name, kind in kinds.items():
                a, b = left[name], right[name]
                if a is None or b is None or (kind is Kind.ASYMMETRIC_BINARY and not a and not b):
                    continue
                weight += weights[name]
                total += weights[name] * (abs(a - b) / ranges[name] if name in ranges else float(a != b))
            out[i, j] = 0.0 if i == j else total / weight if weight else np.nan
    return out


def _timed(space: GowerSpace, frame: pd.DataFrame) -> tuple[float, float]:
    repeats = REPEATS if len(frame) <= SCIPY_ROWS else 1
    return fastest(lambda: space.fit(frame).pairwise(frame), repeats)


def _numbers_and_codes(frame: pd.DataFrame, kinds: dict[str, Kind]) -> tuple[Floats, Floats]:
    numbers = frame[[name for name, kind in kinds.items() if kind is Kind.NUMERIC]]
    words = frame[[name for name, kind in kinds.items() if kind is not Kind.NUMERIC]]
    scaled = (numbers / (numbers.max() - numbers.min())).to_numpy(np.float64)
    return scaled, words.apply(lambda column: pd.factorize(column)[0]).to_numpy(np.float64)


def _error_by_column(frame: pd.DataFrame, kinds: dict[str, Kind]) -> float:
    """Largest difference of some rows' distances from sums over whole columns, missing values masked."""
    some = frame.iloc[:: max(len(frame) // REFERENCE_ROWS, 1)].head(REFERENCE_ROWS)
    total, count = np.zeros((len(some), len(frame))), np.zeros((len(some), len(frame)))
    for name, kind in kinds.items():
        left, right = some[name].to_numpy()[:, None], frame[name].to_numpy()[None, :]
        known = some[name].notna().to_numpy()[:, None] & frame[name].notna().to_numpy()[None, :]
        if kind is Kind.NUMERIC:
            difference = np.abs(left - right) / (frame[name].max() - frame[name].min())
        else:
            difference = (left != right).astype(np.float64)
        total += np.where(known, difference, 0.0)
        count += known
    found = GowerSpace(kinds).fit(frame).pairwise(some, frame)
    expected = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    return _largest_difference(found, expected)


def _error_by_pair(seed: int) -> float:
    """Largest difference from the plain loop, over all kinds with weights and missing values."""
    rng = np.random.default_rng([seed, 2])
    n = BRUTE_ROWS
    frame = pd.DataFrame(
        {
            "number": rng.lognormal(size=n),
            "level": rng.integers(1, 5, n).astype(np.float64),
            "word": np.array(list("abc"))[rng.integers(0, 3, n)],
            "rare": (rng.random(n) < 0.2).astype(np.float64),
            "both": (rng.random(n) < 0.5).astype(np.float64),
        }
    )
    kinds = {
        "number": Kind.NUMERIC,
        "level": Kind.ORDINAL,
        "word": Kind.NOMINAL,
        "rare": Kind.ASYMMETRIC_BINARY,
        "both": Kind.SYMMETRIC_BINARY,
    }
    weights = {"number": 2.0, "level": 1.0, "word": 0.5, "rare": 3.0, "both": 1.0}
    frame = frame.mask(rng.random(frame.shape) < 3 * MISSING_SHARE)
    found, expected = (
        GowerSpace(kinds, weights).fit(frame).pairwise(frame),
        pair_by_pair(frame, kinds, weights),
    )
    np.fill_diagonal(expected, 0.0)
    return _largest_difference(found, expected)


def _largest_difference(found: Floats, expected: Floats) -> float:
    """Infinite if one of them is undefined where the other is not."""
    if (np.isnan(found) != np.isnan(expected)).any():
        return float("inf")
    return float(np.nanmax(np.abs(found - expected)))
