"""A key that is forgotten is in no version any more, and no version looks for it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from pipelines.sinks.dynamodb.erasure import items, purge
from pipelines.sinks.dynamodb.versions import version_names

if TYPE_CHECKING:
    from tests.sinks.dynamodb.conftest import Bench

DAY = date(2026, 1, 5)


def test_a_key_goes_from_every_version(bench: Bench) -> None:
    bench.publish()
    bench.publish(bench.rows(shift=1.0), day=DAY + timedelta(days=1))
    table, namespace = bench.target.table, bench.target.namespace
    names = version_names(bench.connection, table, namespace)
    assert len(names) == 2
    sampled = bench.versions.version(names[0]).sample
    gone, stays = sampled[0], sampled[1]
    assert len(items(bench.connection, table, namespace, gone)) == 2
    purge(bench.connection, table, namespace, gone)
    purge(bench.connection, table, namespace, gone)  # again does nothing
    assert items(bench.connection, table, namespace, gone) == []
    assert len(items(bench.connection, table, namespace, stays)) == 2
    for name in names:
        sample = bench.versions.version(name).sample
        assert gone not in sample
        assert stays in sample
    assert bench.reader.get(gone) is None
    assert bench.reader.get(stays)["version"] == names[-1], "what serves still serves"
    assert not [item for item in bench.held() if gone in str(item)]
