"""A person's word on which version serves, and the way back."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pipelines.errors import ConfigError
from pipelines.io.lake import Lake
from pipelines.io.promotions import Outcome, read_promotions
from pipelines.io.registry import CHAMPION, Registry
from pipelines.io.serving import promote, rollback
from pipelines.settings import Settings

NOON = datetime.fromisoformat("2025-06-02T12:00:00")


@pytest.fixture
def settings(registry: Registry, tmp_path: Path) -> Settings:
    """A registry with four versions, of which none serves. Their artifacts play no part here."""
    registry.client.create_registered_model("churn")
    for _ in range(4):
        registry.client.create_model_version("churn", source=tmp_path.as_uri())
    return registry.settings


def serve(settings: Settings, *versions: str) -> None:
    """Promote versions one after another."""
    for hour, version in enumerate(versions):
        promote(settings, "churn", version, why="because", at=NOON + timedelta(hours=hour))


def champion(settings: Settings) -> str:
    version = Registry(settings, "churn").aliased(CHAMPION)
    assert version is not None
    return version.label


def back(settings: Settings, hours: int) -> dict[str, object]:
    return rollback(settings, "churn", why="worse", at=NOON + timedelta(days=1, hours=hours))


def test_a_promotion_serves_and_is_on_record(settings: Settings) -> None:
    serve(settings, "1")
    record = promote(settings, "churn", "2", why="better by eye", at=NOON + timedelta(hours=5))
    assert record == {"champion": "churn/2", "before": "churn/1", "why": "better by eye"}
    assert champion(settings) == "churn/2"
    newest = read_promotions(Lake.of(settings), "churn")[-1]
    assert (newest.outcome, newest.model_version, newest.previous_version) == (
        Outcome.PROMOTED, "churn/2", "churn/1",
    )  # fmt: skip
    assert (newest.words, newest.as_of) == ("better by eye", NOON.date())
    assert newest.who
    assert not newest.who.startswith("gate:")


def test_an_unknown_version_is_refused_and_nothing_changes(settings: Settings) -> None:
    serve(settings, "1")
    with pytest.raises(ConfigError, match="churn has no version '9' in the registry"):
        promote(settings, "churn", "9", why="typo", at=NOON)
    assert champion(settings) == "churn/1"
    assert len(read_promotions(Lake.of(settings), "churn")) == 1


def test_rollback_goes_back_one_version_at_a_time(settings: Settings) -> None:
    serve(settings, "1", "2", "4")
    assert back(settings, 1)["champion"] == champion(settings) == "churn/2"
    assert back(settings, 2)["champion"] == champion(settings) == "churn/1"
    with pytest.raises(ConfigError, match=r"no earlier champion to go back to; served so far: \['churn/1'\]"):
        back(settings, 3)
    assert champion(settings) == "churn/1"
    outcomes = [promotion.outcome for promotion in read_promotions(Lake.of(settings), "churn")]
    assert outcomes == [Outcome.PROMOTED] * 3 + [Outcome.ROLLED_BACK] * 2


def test_a_version_promoted_after_a_rollback_goes_back_to_the_one_before_it(settings: Settings) -> None:
    """Not to the one that was rolled back: it was found wanting."""
    serve(settings, "1", "2")
    back(settings, 1)
    promote(settings, "churn", "3", why="fixed", at=NOON + timedelta(days=2))
    rolled = rollback(settings, "churn", why="worse too", at=NOON + timedelta(days=3))
    assert rolled["champion"] == champion(settings) == "churn/1"


def test_without_a_champion_there_is_no_way_back(settings: Settings) -> None:
    with pytest.raises(ConfigError, match=r"no earlier champion to go back to; served so far: \[\]"):
        back(settings, 1)
