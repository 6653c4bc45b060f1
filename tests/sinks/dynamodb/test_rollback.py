"""Going back: one write, to a version that is whole, by whom and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from pipelines.errors import SinkError
from pipelines.sinks.dynamodb.rollback import rollback
from pipelines.sinks.ledger import read_flips

DAY = date(2026, 1, 5)


def back(bench: Any, **more: Any) -> Any:
    given = {"why": "too high in the north", "who": "ada", "options": bench.options} | more
    return rollback(["demand"], bench.settings, bench.lake, **given)["demand"]


@pytest.fixture
def three(bench: Any) -> list[str]:
    """Versions of three days, oldest first."""
    return [
        bench.publish(bench.rows(5, DAY + timedelta(days=n), shift=n), DAY + timedelta(days=n)).run_id
        for n in range(3)
    ]


def test_back_twice_and_forth_again(bench: Any, three: list[str]) -> None:
    assert bench.reader.get("sku_store#S0#K0000")["units"] == 2
    before = bench.proxy.requests["PutItem"]
    pointer = back(bench)
    assert bench.proxy.requests["PutItem"] == before + 1, "one write, whatever the number of items"
    assert (pointer.version, pointer.as_of, pointer.served) == (
        three[1],
        DAY + timedelta(days=1),
        (three[0],),
    )
    assert bench.reader.get("sku_store#S0#K0000")["units"] == 1
    assert back(bench).version == three[0], "a second time one further, not forth"
    with pytest.raises(SinkError, match=f"nothing served before {three[0]}"):
        back(bench)
    newest = DAY + timedelta(days=2)
    rows = bench.rows(5, newest, shift=2)
    stays = bench.publish(rows, newest)
    assert stays.noop
    assert stays.warnings[0].startswith(f"version {three[2]} was published before and {three[0]} serves now")
    assert bench.reader.current().version == three[0], "a repeated task does not undo a rollback"
    forth = bench.publish(rows, newest, force=True)
    assert (forth.noop, forth.facts["serves"]) == (False, three[2])
    assert bench.reader.get("sku_store#S0#K0000")["units"] == 2
    flips = read_flips(bench.lake, "dynamodb", bench.target.object)
    assert flips.select("revision", "kind", "version", "before").rows()[3:] == [
        (4, "rollback", three[1], three[2]),
        (5, "rollback", three[0], three[1]),
        (6, "publish", three[2], three[0]),
    ]
    assert flips.filter(flips["kind"] == "rollback").select("why", "who").unique().rows() == [
        ("too high in the north", "ada")
    ]
    assert back(bench, to=three[0]).served == (), "one can go further back at once"
    day = DAY + timedelta(days=3)
    report = bench.publish(bench.rows(5, day), day)
    pointer = bench.reader.current()
    assert (pointer.version, pointer.served) == (report.run_id, (three[0],)), "the next day goes forward"


def remove(bench: Any, version: str, key: str) -> None:
    """Remove an item as the time to live does."""
    name = {"pk": {"S": bench.target.partition_key(key)}, "sk": {"S": version}}
    bench.connection.call("delete_item", TableName=bench.target.table, Key=name)


def test_versions_that_never_served_or_are_not_whole_are_refused(bench: Any, three: list[str]) -> None:
    first, second, third = three
    with pytest.raises(SinkError, match="'v9' never served before; these did"):
        back(bench, to="v9")
    assert back(bench).version == second
    remove(bench, third, gone := bench.keys(third)[0])
    newest = DAY + timedelta(days=2)
    with pytest.raises(
        SinkError, match=rf"{third} is no longer complete: 1 of 5 sampled items are gone, .*{gone}"
    ):
        bench.publish(bench.rows(5, newest, shift=2), newest, force=True)
    with pytest.raises(
        SinkError, match=rf"version {first} is kept through 2026-01-19 only, 2026-01-20 is later"
    ):
        back(bench, on=date(2026, 1, 20))
    remove(bench, first, gone)
    with pytest.raises(
        SinkError, match=rf"{first} is no longer complete: 1 of 5 sampled items are gone, .*{gone}"
    ):
        back(bench)
    bench.connection.call(
        "update_item",
        TableName=bench.target.table,
        Key={"pk": {"S": "demand#@versions"}, "sk": {"S": first}},
        UpdateExpression="SET #s = :l",
        ExpressionAttributeNames={"#s": "state"},
        ExpressionAttributeValues={":l": {"S": "loading"}},
    )
    with pytest.raises(SinkError, match=f"version {first} was never completed"):
        back(bench)
    remove(bench, first, "@versions")
    with pytest.raises(SinkError, match=f"version {first} has expired"):
        back(bench)
    assert bench.reader.current().version == second, "what served still serves"
    assert read_flips(bench.lake, "dynamodb", bench.target.object).height == 4


def in_both(bench: Any) -> Mapping[str, list[str]]:
    """Versions of two days in two namespaces of one table."""
    found: dict[str, list[str]] = {}
    for namespace in ("demand", "offers"):
        bench.target = replace(bench.target, namespace=namespace)
        days = [DAY + timedelta(days=n) for n in range(2)]
        found[namespace] = [bench.publish(bench.rows(5, day), day).run_id for day in days]
    return found


def both(bench: Any, **more: Any) -> dict[str, str]:
    given = {"why": "too high", "who": "ada", "options": bench.options} | more
    back = rollback(["demand", "offers"], bench.settings, bench.lake, **given)
    return {namespace: pointer.version for namespace, pointer in back.items()}


def test_every_namespace_goes_back(bench: Any) -> None:
    versions = in_both(bench)
    assert both(bench) == {namespace: older for namespace, (older, _) in versions.items()}
    for namespace, (older, newer) in versions.items():
        flips = read_flips(bench.lake, "dynamodb", f"{bench.target.table}/{namespace}")
        assert flips.select("kind", "version", "before").row(-1) == ("rollback", older, newer)


def test_a_version_that_is_named_goes_back_alone(bench: Any) -> None:
    versions = in_both(bench)
    older = versions["offers"][0]
    assert both(bench, to=older) == {"offers": older}
    assert bench.reader.current().version == older
    bench.target = replace(bench.target, namespace="demand")
    assert bench.reader.current().version == versions["demand"][1]
    with pytest.raises(SinkError, match="'v9' never served before"):
        both(bench, to="v9")


def test_no_namespace_goes_back_if_one_cannot(bench: Any) -> None:
    versions = in_both(bench)
    older = versions["offers"][0]
    remove(bench, older, bench.keys(older)[0])
    with pytest.raises(SinkError, match=f"{older} is no longer complete"):
        both(bench)
    bench.target = replace(bench.target, namespace="demand")
    assert bench.reader.current().version == versions["demand"][1]


def test_a_flip_that_is_lost_halfway_says_what_went_back_and_what_to_name(bench: Any) -> None:
    versions = in_both(bench)

    def hook(operation: str, body: dict[str, Any]) -> Any:
        if operation == "PutItem" and body["Item"]["pk"]["S"] == "offers#@current":
            return 400, {"__type": "x#ConditionalCheckFailedException", "message": "lost"}
        return None

    bench.proxy.hook = hook
    left = versions["offers"][0]
    words = rf"somebody else moved the pointer.*\['demand'\] went back already: name the others' \['{left}'\]"
    with pytest.raises(SinkError, match=words):
        both(bench)
    bench.proxy.hook = None
    assert both(bench, to=left) == {"offers": left}
