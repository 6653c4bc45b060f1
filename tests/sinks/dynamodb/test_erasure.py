"""A key that is forgotten is in no version any more, and no version looks for it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.sinks.dynamodb.conftest import Bench

DAY = date(2026, 1, 5)


def test_a_key_goes_from_every_version(bench: Bench) -> None:
    bench.publish()
    bench.publish(bench.rows(shift=1.0), day=DAY + timedelta(days=1))
    names = bench.versions.names()
    assert len(names) == 2
    sampled = bench.versions.version(names[0]).sample
    gone, stays = sampled[0], sampled[1]
    assert len(bench.versions.items(gone)) == 2
    bench.versions.forget(gone)
    bench.versions.forget(gone)  # again does nothing
    assert bench.versions.items(gone) == []
    assert len(bench.versions.items(stays)) == 2
    for name in names:
        sample = bench.versions.version(name).sample
        assert gone not in sample
        assert stays in sample
    assert bench.reader.get(gone) is None
    assert bench.reader.get(stays)["version"] == names[-1], "what serves still serves"
    assert not [item for item in bench.held() if gone in str(item)]
