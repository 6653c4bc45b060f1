"""An explanation repeats what was published, and its parts add up to the score."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset
import pytest

from pipelines.errors import DataContractError
from pipelines.io.frames import model_frame
from pipelines.io.marts import mart_contract
from pipelines.io.registry import CHAMPION, Registry
from pipelines.usecases.churn import USECASE
from pipelines.usecases.churn.dataset import read_scope
from pipelines.usecases.churn.schemas import OUT_OF_SCOPE, SCORES

if TYPE_CHECKING:
    from tests.conftest import Deployment


def natural_id(deployed: Deployment, key: str) -> str:
    rows = deployed.lake.read("raw/churn_accounts", where=pa_dataset.field("account_key") == key)
    return str(rows["account_id"][0].as_py())


def explained(deployed: Deployment, day: date, account: str) -> dict[str, Any]:
    return USECASE.explain.run(USECASE.run(day, deployed.settings), [account])


def test_an_account_is_explained_as_it_was_published(deployed: Deployment) -> None:
    day = deployed.scored_on
    scored = deployed.lake.read(SCORES, where=pa_dataset.field("as_of") == day).sort_by("rank").to_pylist()
    for row in (scored[0], scored[-1]):
        told = explained(deployed, day, natural_id(deployed, row["account_key"]))
        for name in (
            "account_key",
            "score",
            "rank",
            "risk_level",
            "reason_1",
            "reason_2",
            "reason_3",
            "action",
        ):
            assert told[name] == row[name]
        assert told == explained(deployed, day, row["account_key"])


def test_the_themes_add_up_to_the_raw_score(deployed: Deployment) -> None:
    day = deployed.scored_on
    inside, _ = read_scope(USECASE.run(day, deployed.settings))
    themes = mart_contract(deployed.settings.dbt_project, "ml", "ml_churn_features").themes
    registry = Registry(deployed.settings, "churn")
    model = registry.load(registry.aliased(CHAMPION))
    for position in (0, 100, 200):
        key = inside["account_key"][position].as_py()
        told = explained(deployed, day, key)["log_odds_by_theme"]
        row = inside.filter(pc.equal(inside["account_key"], key))
        [raw] = model.raw_score(model_frame(row, list(themes)))
        assert sum(told.values()) == pytest.approx(raw, abs=0.0006 * len(told))
        assert set(told) == {"average account", *themes.values()}
        sizes = [abs(value) for name, value in told.items() if name != "average account"]
        assert sizes == sorted(sizes, reverse=True)


def test_an_account_out_of_scope_is_told_why(deployed: Deployment) -> None:
    day = deployed.scored_on
    where = (pa_dataset.field("as_of") == day) & (pa_dataset.field("scope_reason") == "churned")
    key = deployed.lake.read(OUT_OF_SCOPE, where=where)["account_key"][0].as_py()
    told = explained(deployed, day, natural_id(deployed, key))
    assert told == {"as_of": day, "account_key": key, "scope_reason": "churned"}


@pytest.mark.parametrize(("day", "account"), [(date(2025, 7, 7), "nobody"), (date(2025, 6, 30), "nobody")])
def test_an_unknown_account_or_day_is_refused(deployed: Deployment, day: date, account: str) -> None:
    with pytest.raises(DataContractError, match=f"no score of 'nobody' on {day}: check the id"):
        explained(deployed, day, account)
