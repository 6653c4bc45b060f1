"""Results of benches are one line of valid JSON."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np

from pipelines.lab.bench.result import BenchResult


def test_one_line_of_json_with_the_agreed_fields():
    result = BenchResult(
        "telco", {"auc": 0.123456789, "undefined": float("nan"), "n": 3}, 1.5, 200.0, {"peer": {"auc": 0.1}}
    )
    line = result.to_json()
    assert "\n" not in line
    assert json.loads(line) == {
        "bench": "telco",
        "metrics": {"auc": 0.123457, "undefined": None, "n": 3},
        "seconds": 1.5,
        "peak_rss_mb": 200.0,
        "peers": {"peer": {"auc": 0.1}},
    }


def test_numpy_numbers_are_numbers():
    line = BenchResult("x", {"a": np.float64(0.5), "b": np.int64(3)}, 1.0, 1.0).to_json()
    assert json.loads(line)["metrics"] == {"a": 0.5, "b": 3}


def test_peak_counts_an_ended_child():
    # A process starts with the peak of the one that started it, so only the growth is checked.
    code = (
        "import subprocess, sys; from pipelines.lab.bench.result import peak_rss_mb; before = peak_rss_mb();"
        "child = f'x = bytearray({int(before) + 100} * 2**20)';"
        "subprocess.run([sys.executable, '-c', child], check=True); print(before, peak_rss_mb())"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    before, after = map(float, out.split())
    assert before + 95 < after < before + 200
