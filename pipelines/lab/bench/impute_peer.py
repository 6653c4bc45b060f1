"""What a user would pick instead, timed on the same table, each in a process of its own with a time limit."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

PEER_SECONDS = 90

#: Amelia II, if this machine has R with it; p2s=0 prints nothing.
_AMELIA = """
suppressMessages(library(Amelia))
args <- commandArgs(TRUE)
table <- read.csv(args[1])
set.seed(as.integer(args[3]))
clock <- proc.time()[["elapsed"]]
found <- amelia(table, m = as.integer(args[2]), p2s = 0)
cat(sprintf('{"seconds": %.3f, "version": "%s"}\n', proc.time()[["elapsed"]] - clock, packageVersion("Amelia")))
"""


def run_peers(
    table: NDArray[np.float64], m: int, seed: int, say: Callable[[str], None]
) -> dict[str, dict[str, Any]]:
    """Seconds of the peers for m data sets, or how they ended."""
    with tempfile.TemporaryDirectory() as folder:
        csv, script = Path(folder, "table.csv"), Path(folder, "amelia.R")
        pd.DataFrame(table, columns=[f"x{j}" for j in range(table.shape[1])]).to_csv(csv, index=False)
        script.write_text(_AMELIA)
        ours = ["-m", "pipelines.lab.bench.impute_peer"]
        commands = {"sklearn_iterative_imputer": [sys.executable, *ours, str(csv), str(m), str(seed)]}
        if rscript := shutil.which("Rscript"):
            commands["amelia"] = [rscript, str(script), str(csv), str(m), str(seed)]
        found = {}
        for name, command in commands.items():
            say(f"{name}, at most {PEER_SECONDS} s")
            found[name] = _timed(command)
    return found


def _timed(command: list[str]) -> dict[str, Any]:
    try:
        done = subprocess.run(  # noqa: S603 - our own module, and our own script
            command, capture_output=True, text=True, timeout=PEER_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return {"ended": f"stopped after {PEER_SECONDS} s"}
    if done.returncode:
        return {"ended": f"exit code {done.returncode}: {done.stderr.strip().splitlines()[-1:]}"}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(csv: str, m: int, seed: int) -> None:
    """Time scikit-learn's imputer with posterior draws: one data set, m times as long for m."""
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - it must be imported
    from sklearn.impute import IterativeImputer

    table = pd.read_csv(csv).to_numpy()
    clock = time.perf_counter()
    IterativeImputer(sample_posterior=True, max_iter=10, tol=0, random_state=seed).fit_transform(table)
    one = time.perf_counter() - clock
    sys.stdout.write(json.dumps({"seconds": round(one * m, 3), "seconds_one_set": round(one, 3)}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
