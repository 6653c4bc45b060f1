"""Readers see one version: while loads run, after they end, and when a version goes."""

from __future__ import annotations

import threading
from datetime import date, timedelta
from typing import Any

import pytest

from pipelines.errors import SinkError
from pipelines.sinks.dynamodb import reader as module
from pipelines.sinks.dynamodb.loader import Loader
from pipelines.sinks.dynamodb.outbound import Outbound
from pipelines.sinks.dynamodb.reader import Items
from pipelines.sinks.dynamodb.tables import require_table
from pipelines.sinks.dynamodb.versions import Version, VersionState

DAY = date(2026, 1, 5)
NEXT = DAY + timedelta(days=1)


def test_a_reader_never_sees_two_versions_during_a_hundred_loads(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads, count = 100, 12
    monkeypatch.setattr(module, "_MAX_KEYS", 5)  # a reading is three requests, with loads between them
    require_table(bench.connection, bench.target.table, create=True)
    keys = bench.rows(count)["item_key"].to_pylist()
    reader, versions = bench.reader, bench.versions
    ready, done = threading.Event(), threading.Event()
    seen: list[Items] = []

    def poll() -> None:
        ready.wait()
        while not done.is_set():
            seen.append(reader.get_many(keys))

    polling = threading.Thread(target=poll)
    polling.start()
    pointer = None
    with Loader(bench.connection, bench.target, bench.options) as loader:
        for load in range(loads):
            outbound = Outbound(bench.rows(count, shift=load), DAY, bench.target)
            version = Version(f"v{load:03d}", DAY, VersionState.COMPLETE, count, "", 4102444800, ())
            assert loader.load(outbound.items(outbound.wanted["external_id"], version.name)).height == 0
            versions.write(version)
            pointer = versions.flip(version, seen=pointer, served=())
            ready.set()
            while len(seen) < load // 3 and polling.is_alive():  # on a busy machine the reader keeps up too
                done.wait(0.001)
    done.set()
    polling.join()
    assert pointer.revision == loads
    names = [items.pointer.version for items in seen]
    assert len(set(names)) >= 20, "it must have seen many versions come"
    assert names == sorted(names), "and none come back"
    for items in seen:
        assert set(items.found) == set(keys), "whole"
        assert {item["version"] for item in items.found.values()} == {items.pointer.version}
        shift = int(items.pointer.version[1:])
        assert [int(items.found[key]["units"]) for key in keys] == [n + shift for n in range(count)]


def test_a_key_that_is_not_there_is_absent_and_costs_one_more_look_at_the_pointer(bench: Any) -> None:
    bench.publish(bench.rows(3))
    before = bench.proxy.requests.copy()
    items = bench.reader.get_many(["sku_store#S0#K0000", "sku_store#S0#other"])
    assert list(items.found) == ["sku_store#S0#K0000"]
    assert bench.proxy.requests - before == {"GetItem": 2, "BatchGetItem": 1}
    before = bench.proxy.requests.copy()
    bench.reader.get("sku_store#S0#K0000")
    assert bench.proxy.requests - before == {"GetItem": 1, "BatchGetItem": 1}


def test_many_keys_are_asked_for_by_the_hundred_and_left_out_ones_again(bench: Any) -> None:
    rows = bench.rows(250)
    bench.publish(rows)
    asked: list[int] = []

    def hook(operation: str, body: dict[str, Any]) -> Any:
        if operation != "BatchGetItem":
            return None
        ((table, request),) = body["RequestItems"].items()
        asked.append(len(request["Keys"]))
        if len(asked) % 2:
            return 200, {"Responses": {table: []}, "UnprocessedKeys": {table: request}}
        return None

    bench.proxy.hook = hook
    items = bench.reader.get_many([*rows["item_key"].to_pylist(), "sku_store#S0#K0000"])
    assert len(items.found) == 250
    assert asked == [100, 100, 100, 100, 50, 50]


def test_a_version_that_expires_between_two_reads_gives_way_to_the_newer_one(bench: Any) -> None:
    first = bench.publish(bench.rows(5))
    keys = bench.rows(5)["item_key"].to_pylist()

    def hook(operation: str, _: dict[str, Any]) -> Any:
        if operation == "BatchGetItem":  # the pointer was read, the items were not
            bench.proxy.hook = None
            bench.publish(bench.rows(5, NEXT, shift=100), NEXT)
            remove(bench, first.run_id, keys)
        return None

    bench.proxy.hook = hook
    items = bench.reader.get_many(keys)
    assert items.pointer.as_of == NEXT
    assert {item["version"] for item in items.found.values()} == {items.pointer.version}
    assert len(items.found) == 5


def test_a_version_that_expired_without_a_successor_is_an_error_and_not_an_empty_answer(bench: Any) -> None:
    report = bench.publish(bench.rows(5))
    remove(bench, report.run_id, bench.keys(report.run_id))
    assert bench.reader.get_many(["sku_store#S0#K0000"]).found == {}, "while the facts about it are there"
    remove(bench, report.run_id, ["@versions"])
    with pytest.raises(SinkError, match=r"serves but has expired \(it was kept through 2026-01-19\)"):
        bench.reader.get_many(["sku_store#S0#K0000"])


def test_before_the_first_version_there_is_an_error(bench: Any) -> None:
    require_table(bench.connection, bench.target.table, create=True)
    with pytest.raises(SinkError, match=r"nothing was published to .*/demand yet"):
        bench.reader.get("sku_store#S0#K0000")


def remove(bench: Any, version: str, keys: list[str]) -> None:
    """Remove items as the time to live does."""
    for key in keys:
        name = {"pk": {"S": bench.target.partition_key(key)}, "sk": {"S": version}}
        bench.connection.call("delete_item", TableName=bench.target.table, Key=name)
