"""Times ``hierarchicalforecast`` on the bench's hierarchy, in a process whose memory is limited.

``python -m pipelines.bench.reconcile_peer LEAVES HORIZON SEED`` writes one line of JSON for each method, as soon
as it is known.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Any

import numpy as np
from hierarchicalforecast.methods import BottomUpSparse, MinTraceSparse, TopDownSparse

from models.forecasting.reconcile import Method, Tree
from models.forecasting.reconcile.grouped import Grouping
from pipelines.bench.reconcile import forecasts, retailer, solve

LIMIT_GIB = 10
#: The quick ones first.
CASES: tuple[tuple[str, Any, Method, bool], ...] = (
    ("bottom_up", BottomUpSparse(), "bottom_up", False),
    ("ols", MinTraceSparse("ols"), "ols", False),
    ("wls_struct", MinTraceSparse("wls_struct"), "wls_struct", False),
    ("top_down", TopDownSparse("forecast_proportions"), "top_down", False),
    ("wls_struct_nonnegative", MinTraceSparse("wls_struct", nonnegative=True), "wls_struct", True),
)


def main(leaves: int, horizon: int, seed: int) -> None:
    """Run all cases.

    Each has its seconds and the largest difference of a leaf from the exact solution, or its error.
    """
    limit = LIMIT_GIB * 2**30
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    tree = Tree.from_frame(retailer(leaves))
    base, variances = forecasts(tree, horizon, seed)
    summing = Grouping.from_tree(tree).summing
    y = np.concatenate([base[level] for level in tree.levels]).astype(np.float64)
    tags = {level: np.arange(nodes.start, nodes.stop) for level, nodes in tree.levels.items()}
    for label, reconciler, method, nonnegative in CASES:
        clock = time.perf_counter()
        try:
            result = reconciler.fit_predict(S=summing, y_hat=y, tags=tags)["mean"]
        except MemoryError as error:
            found: dict[str, Any] = {"error": f"MemoryError: {error}"}
        else:
            found = {"seconds": round(time.perf_counter() - clock, 2)}
            exact = solve(tree, base, variances, method, nonnegative=nonnegative).values[tree.leaf_level]
            off = np.abs(result[tree.levels[tree.leaf_level]] - exact)
            found["worst_leaf_error"] = round(float(off.max()), 6)
            found["mean_leaf"] = round(float(exact.mean()), 3)
        sys.stdout.write(json.dumps({label: found}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*(int(given) for given in sys.argv[1:4]))
