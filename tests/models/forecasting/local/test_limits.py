"""A series that takes too long is left."""

from __future__ import annotations

import signal
import threading

import pytest

from models.forecasting.local.limits import FitTimeout, time_limit


def spin() -> None:
    while True:
        pass


def test_a_block_is_left_after_its_time() -> None:
    before = signal.getsignal(signal.SIGPROF)
    with pytest.raises(FitTimeout, match=r"more than 0\.05 s of CPU"), time_limit(0.05):
        spin()
    assert signal.getsignal(signal.SIGPROF) is before
    assert signal.getitimer(signal.ITIMER_PROF)[0] == 0


def test_a_block_in_time_is_left_alone() -> None:
    with time_limit(60):
        assert signal.getitimer(signal.ITIMER_PROF)[0] > 1
    assert signal.getitimer(signal.ITIMER_PROF)[0] == 0


def test_other_threads_run_without_it() -> None:
    ran: list[bool] = []

    def work() -> None:
        with time_limit(60):
            ran.append(signal.getitimer(signal.ITIMER_PROF)[0] == 0)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ran == [True]
