"""Waits grow, are capped, and never exceed their bound."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.sinks import backoff as module
from pipelines.sinks.backoff import Backoff


def test_waits_are_drawn_below_a_bound_that_doubles_up_to_the_cap(monkeypatch: Any) -> None:
    slept: list[float] = []
    monkeypatch.setattr(module.time, "sleep", slept.append)
    backoff = Backoff(attempts=5, base_s=1.0, cap_s=5.0)
    assert [backoff.bound(attempt) for attempt in (0, 1, 2, 3, 10_000)] == [1.0, 2.0, 4.0, 5.0, 5.0]
    for _ in range(200):
        backoff.wait(2)
    assert 0.0 <= min(slept) < 1.0 < 3.0 < max(slept) <= 4.0  # full jitter uses the whole range


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="attempts >= 1"):
        Backoff(attempts=0)
