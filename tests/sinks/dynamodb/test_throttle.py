"""The token bucket: never faster than the rate, never stuck."""

from __future__ import annotations

import random
import threading

import pytest

from pipelines.sinks.dynamodb.loader import TokenBucket


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def bucket(self, rate: float, burst: float | None = None) -> TokenBucket:
        return TokenBucket(rate, burst=burst, clock=lambda: self.now, sleep=self.sleep)


def test_in_no_window_pass_more_units_than_rate_and_burst_allow() -> None:
    time, draw = Time(), random.Random(1)
    bucket = time.bucket(10, burst=20)
    passed: list[tuple[float, float]] = []
    for _ in range(400):
        units = draw.randint(1, 8)
        bucket.take(units)
        passed.append((time.now, units))
        if draw.random() < 0.1:
            time.now += draw.random() * 3
    for at, (start, _) in enumerate(passed):
        units = 0.0
        for moment, more in passed[at:]:
            units += more
            assert units <= 20 + 10 * (moment - start) + 8 + 1e-9
    seconds = passed[-1][0] - passed[0][0]
    assert sum(units for _, units in passed) > 0.8 * 10 * seconds * 0.8, "nor much less than the rate"


def test_a_request_larger_than_the_burst_passes_and_the_next_one_pays() -> None:
    time = Time()
    bucket = time.bucket(10, burst=10)
    assert bucket.take(50) == 0
    assert bucket.take(1) == pytest.approx(4.0)
    assert bucket.take(1) == pytest.approx(0.1)
    time.now += 100
    assert bucket.take(10) == 0, "a pause fills it up to the burst and no further"
    assert bucket.take(1) == 0
    assert bucket.take(1) == pytest.approx(0.1)


def test_threads_share_one_rate() -> None:
    time = Time()
    waits: list[float] = []
    bucket = TokenBucket(10, burst=0, clock=lambda: time.now, sleep=waits.append)

    def work() -> None:
        for _ in range(25):
            bucket.take(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(waits) == pytest.approx([n / 10 for n in range(1, 100)]), "each waits for those before it"


def test_a_rate_must_be_positive() -> None:
    with pytest.raises(ValueError, match="rate must be > 0"):
        TokenBucket(0)
