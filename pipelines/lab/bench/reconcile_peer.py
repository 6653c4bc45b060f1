"""Times ``hierarchicalforecast`` on the bench's hierarchy, in a process whose memory and CPU seconds are limited.

``python -m pipelines.lab.bench.reconcile_peer LEAVES HORIZON SEED CPU_SECONDS`` writes one line of JSON for each method, as
soon as it is known.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Any

import numpy as np
from hierarchicalforecast.methods import BottomUpSparse, MinTraceSparse, TopDownSparse
from numpy.typing import NDArray

from models.forecasting.reconcile import Method, Tree
from models.forecasting.reconcile.grouped import Grouping
from pipelines.lab.bench.reconcile import forecasts, retailer, solve

LIMIT_GIB = 10
#: Label, the library's method, ours, and whether negatives are ruled out; what must not be missed comes first.
CASES: tuple[tuple[str, Any, Method, bool], ...] = (
    ("bottom_up", BottomUpSparse(), "bottom_up", False),
    ("ols", MinTraceSparse("ols"), "ols", False),
    ("top_down", TopDownSparse("forecast_proportions"), "top_down", False),
    ("wls_struct", MinTraceSparse("wls_struct"), "wls_struct", False),
    ("wls_struct_nonnegative", MinTraceSparse("wls_struct", nonnegative=True), "wls_struct", True),
)


def main(leaves: int, horizon: int, seed: int, cpu_seconds: int) -> None:
    """Run all cases."""
    limit = LIMIT_GIB * 2**30
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, resource.RLIM_INFINITY))
    tree = Tree.from_frame(retailer(leaves))
    base, variances = forecasts(tree, horizon, seed)
    summing = Grouping.from_tree(tree).summing
    y = np.concatenate([base[level] for level in tree.levels]).astype(np.float64)
    tags = {level: np.arange(nodes.start, nodes.stop) for level, nodes in tree.levels.items()}
    for label, reconciler, method, nonnegative in CASES:
        exact = solve(tree, base, variances, method, nonnegative=nonnegative).values[tree.leaf_level]
        found = timed(reconciler, exact, S=summing, y_hat=y, tags=tags)
        sys.stdout.write(json.dumps({label: found}) + "\n")
        sys.stdout.flush()


def timed(reconciler: Any, exact: NDArray[np.float64], **given: Any) -> dict[str, Any]:
    """Seconds of a method of the library and how far its leaves are from the exact ones, or its error."""
    clock = time.perf_counter()
    try:
        leaves = reconciler.fit_predict(**given)["mean"][-len(exact) :]
    except MemoryError as error:
        return {"error": f"MemoryError: {error}"}
    return {
        "seconds": round(time.perf_counter() - clock, 3),
        "worst_leaf_error": round(float(np.abs(leaves - exact).max()), 6),
        "mean_leaf": round(float(exact.mean()), 3),
    }


if __name__ == "__main__":
    main(*(int(given) for given in sys.argv[1:5]))
