"""Measures of the demo and the benches."""

from __future__ import annotations

import pytest

from pipelines.lab.memory import PeakMemory
from pipelines.measure import Stopwatch


def test_a_phase_that_is_entered_again_adds_up_and_counts_failures() -> None:
    watch = Stopwatch()
    with watch.phase("data"):
        pass
    first = watch.seconds["data"]
    with pytest.raises(ZeroDivisionError), watch.phase("data"):
        raise ZeroDivisionError
    with watch.phase("other"):
        pass
    assert list(watch.seconds) == ["data", "other"]
    assert watch.seconds["data"] > first >= 0


def test_peak_memory_sees_what_this_process_took() -> None:
    """The sample at the end counts even if nothing was sampled before."""
    with PeakMemory() as before:
        pass
    with PeakMemory() as memory:
        block = bytearray(b"x" * 200 * 2**20)
    assert len(block) == 200 * 2**20
    assert memory.peak_mb > before.peak_mb + 150
    assert before.peak_mb > 20
