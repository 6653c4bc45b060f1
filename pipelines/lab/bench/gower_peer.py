"""Times the package ``gower`` on the bench's table, in a process of its own, where it is installed.

``python -m pipelines.lab.bench.gower_peer ROWS COLS SEED`` writes one line of JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from importlib.util import find_spec
from typing import Any

#: Seconds that the package gets.
LIMIT = 180


def peer(rows: int, cols: int, seed: int) -> dict[str, Any]:
    """What the package does with the table, or why that is not known."""
    if find_spec("gower") is None:
        return {"ended": "not installed: `pip install --no-deps --target DIR gower`, then PYTHONPATH=DIR"}
    command = [sys.executable, "-m", "pipelines.lab.bench.gower_peer", str(rows), str(cols), str(seed)]
    try:
        done = subprocess.run(  # noqa: S603 - our own module
            command, capture_output=True, text=True, timeout=LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        return {"ended": f"stopped after {LIMIT} s"}
    if done.returncode:
        return {"ended": f"ended with exit code {done.returncode}: {done.stderr.strip()[-200:]}"}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(rows: int, cols: int, seed: int) -> None:
    """Time it, and compare its distances with ours; with missing values, too."""
    from importlib import import_module

    import numpy as np

    from models.clustering.gower import gower_distances
    from pipelines.lab.bench.gower import table, with_gaps

    gower = import_module("gower")  # not one of our dependencies
    frame, kinds = table(rows, cols, seed)
    clock = time.perf_counter()
    theirs = gower.gower_matrix(frame)
    seconds = time.perf_counter() - clock
    few = with_gaps(frame.head(200), seed)
    gaps = np.isnan(gower.gower_matrix(few)).mean()
    found = {
        "seconds": round(seconds, 3),
        "max_difference": float(np.abs(theirs - gower_distances(frame, kinds)).max()),
        "undefined_share_with_missing": float(gaps),
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:4]))
