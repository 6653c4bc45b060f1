"""Names, keys and expiry by the rules of the service, which its twins do not all keep."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from pipelines.errors import ConfigError
from pipelines.sinks.dynamodb.target import DynamoTarget


def target(**more: object) -> DynamoTarget:
    given = {"table": "millrace", "namespace": "demand", "key": "item_key", "retention_days": 14} | more
    return DynamoTarget(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", "ab", "x" * 256, "mill race", "mill/race", "caf\u00e9s"])
def test_table_names_that_the_service_refuses_are_refused_here(name: str) -> None:
    with pytest.raises(ConfigError, match="MILLRACE_DYNAMODB__TABLE"):
        target(table=name)


@pytest.mark.parametrize("name", ["abc", "x" * 255, "Mill-Race_1.2"])
def test_table_names_that_the_service_takes_are_taken(name: str) -> None:
    assert target(table=name).object == f"{name}/demand"


@pytest.mark.parametrize(
    "wrong",
    [{"namespace": "de#mand"}, {"namespace": "1x"}, {"key": "pk"}, {"retention_days": 0}, {"decimals": 11}],
)  # fmt: skip
def test_other_parts_are_checked_too(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="must"):
        target(**wrong)


def test_a_version_is_kept_to_the_end_of_its_last_day() -> None:
    made = target()
    assert made.kept_through(date(2026, 1, 5)) == date(2026, 1, 19)
    expiry = datetime.fromtimestamp(made.expires_at(date(2026, 1, 5)), UTC)
    assert expiry == datetime(2026, 1, 20, tzinfo=UTC)
