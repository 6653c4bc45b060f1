"""The table is what the sink needs, or the error says what to do."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.errors import ConfigError
from pipelines.sinks.dynamodb.tables import require_table


def make(bench: Any, *keys: tuple[str, str], kind: str = "S", expiry: str = "") -> None:
    bench.connection.call(
        "create_table",
        TableName=bench.target.table,
        KeySchema=[{"AttributeName": name, "KeyType": role} for name, role in keys],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, _ in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    if expiry:
        bench.connection.call(
            "update_time_to_live",
            TableName=bench.target.table,
            TimeToLiveSpecification={"Enabled": True, "AttributeName": expiry},
        )


RIGHT = (("pk", "HASH"), ("sk", "RANGE"))


def test_a_missing_table_is_made_only_if_that_is_wanted(bench: Any) -> None:
    with pytest.raises(ConfigError, match=r"has no table 'test-.*__CREATE_TABLE=true"):
        require_table(bench.connection, bench.target.table, create=False)
    require_table(bench.connection, bench.target.table, create=True)
    found = bench.connection.call("describe_table", TableName=bench.target.table)["Table"]
    assert found["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert found["DeletionProtectionEnabled"] is True
    before = bench.proxy.requests.copy()
    require_table(bench.connection, bench.target.table, create=False)
    assert set(bench.proxy.requests - before) == {"DescribeTable", "DescribeTimeToLive"}


def test_a_creation_whose_answer_was_lost_is_not_an_error(bench: Any) -> None:
    lost: list[str] = []

    def hook(operation: str, body: dict[str, Any]) -> Any:
        if operation in ("CreateTable", "UpdateTimeToLive") and operation not in lost:
            lost.append(operation)
            name = "create_table" if operation == "CreateTable" else "update_time_to_live"
            bench.connection.call(name, **body)
            return 500, {"__type": "x#InternalServerError", "message": "lost"}
        return None

    bench.proxy.hook = hook
    require_table(bench.connection, bench.target.table, create=True)
    assert lost == ["CreateTable", "UpdateTimeToLive"]
    require_table(bench.connection, bench.target.table, create=False)


@pytest.mark.parametrize(
    ("keys", "kind"),
    [((("id", "HASH"),), "S"), ((("pk", "HASH"),), "S"), (RIGHT, "N"), ((("sk", "HASH"), ("pk", "RANGE")), "S")],
)  # fmt: skip
def test_a_table_of_another_shape_is_refused(bench: Any, keys: Any, kind: str) -> None:
    make(bench, *keys, kind=kind, expiry="expires_at")
    with pytest.raises(ConfigError, match="must have the partition key 'pk' and the sort key 'sk'"):
        require_table(bench.connection, bench.target.table, create=True)


def test_a_table_without_expiry_gets_one_only_if_that_is_wanted(bench: Any) -> None:
    make(bench, *RIGHT)
    with pytest.raises(ConfigError, match="has no time to live"):
        require_table(bench.connection, bench.target.table, create=False)
    require_table(bench.connection, bench.target.table, create=True)
    require_table(bench.connection, bench.target.table, create=False)


def test_a_table_that_expires_by_another_attribute_is_refused(bench: Any) -> None:
    make(bench, *RIGHT, expiry="ttl")
    with pytest.raises(ConfigError, match="expires items by 'ttl', the sink writes 'expires_at'"):
        require_table(bench.connection, bench.target.table, create=True)
