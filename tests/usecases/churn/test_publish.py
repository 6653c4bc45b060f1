"""What Salesforce holds after a publication: the accounts in scope, nothing else, nothing twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset
import pytest
from pydantic import SecretStr

from pipelines.errors import DataContractError, ModelGateError
from pipelines.lab.emulator import Emulator
from pipelines.settings import SalesforceSettings
from pipelines.sinks.ledger import Ledger
from pipelines.steps import publish
from pipelines.usecases.churn import USECASE
from pipelines.usecases.churn.schemas import SCORES

if TYPE_CHECKING:
    from datetime import date

    from tests.conftest import Deployment

OBJECT = "Churn_Score__c"


@dataclass(frozen=True)
class Weeks:
    """What each publication returned, and what the org held after it."""

    deployment: Deployment
    records: dict[str, dict[str, Any]]
    held: dict[str, dict[str, dict[str, Any]]]
    processed: dict[str, int]

    def wanted(self, day: date) -> dict[str, dict[str, Any]]:
        """Scores of a day by natural id."""
        lake = self.deployment.lake
        ids = lake.read("raw/churn_accounts", columns=["account_key", "account_id"]).to_pylist()
        natural = {row["account_key"]: row["account_id"] for row in ids}
        rows = lake.read(SCORES, where=pa_dataset.field("as_of") == day).to_pylist()
        return {natural[row["account_key"]]: row for row in rows}


@pytest.fixture(scope="module")
def weeks(module_copy: Deployment) -> Iterator[Weeks]:
    """A rehearsal, a publication, the same again, and the publication of a later Monday."""
    with Emulator() as org:
        login = SalesforceSettings(
            username=org.credentials.username,
            password=SecretStr(org.credentials.password),
            security_token=SecretStr(org.credentials.security_token),
            instance=org.instance,
            ca_bundle=org.ca_bundle,
        )
        settings = module_copy.settings.model_copy(update={"salesforce": login})
        deployment = replace(module_copy, settings=settings)
        accounts = deployment.lake.read("raw/churn_accounts", columns=["account_id", "account_name"])
        names = {row["account_id"]: row["account_name"] for row in accounts.to_pylist()}
        org.seed_accounts({"Millrace_Account_Id__c": key, "Name": name} for key, name in names.items())
        done = Weeks(deployment, {}, {}, {})
        for name, day, options in (
            ("rehearsal", deployment.trained_on, {"dry_run": True}),
            ("first", deployment.trained_on, {}),
            ("again", deployment.trained_on, {}),
            ("later", deployment.scored_on, {}),
        ):
            done.records[name] = publish.run(
                USECASE, day, settings=settings, params=deployment.params(), **options
            )
            done.held[name] = {record["External_Id__c"]: record for record in org.records(OBJECT)}
            done.processed[name] = sum(row.ok + row.failed for row in org.audit(OBJECT))
        yield done


def test_a_rehearsal_counts_and_sends_nothing(weeks: Weeks) -> None:
    record, wanted = weeks.records["rehearsal"], weeks.wanted(weeks.deployment.trained_on)
    assert (record["planned"], record["sent"], record["run_id"]) == (len(wanted), 0, None)
    assert len(record["sample"]) == 5
    assert {row["External_Id__c"] for row in record["sample"]} <= set(wanted)
    assert (weeks.held["rehearsal"], weeks.processed["rehearsal"]) == ({}, 0)


def test_the_org_holds_exactly_the_accounts_in_scope(weeks: Weeks) -> None:
    wanted, held = weeks.wanted(weeks.deployment.trained_on), weeks.held["first"]
    assert set(held) == set(wanted)
    record = weeks.records["first"]
    assert record["ok"] == record["sent"] == record["planned"] == len(wanted)
    assert record["balanced"]
    assert record["complete"]


def test_a_record_says_what_the_score_says(weeks: Weeks) -> None:
    held = weeks.held["first"]
    for key, row in weeks.wanted(weeks.deployment.trained_on).items():
        record = held[key]
        assert record["Score__c"] == pytest.approx(row["score"], abs=6e-5)
        assert (record["Rank__c"], record["Risk_Level__c"]) == (row["rank"], row["risk_level"])
        assert (record["Reason_1__c"], record["Action__c"]) == (row["reason_1"], row["action"])
        assert (record["As_Of__c"], record["Model_Version__c"]) == (str(row["as_of"]), "churn/1")
        assert record["Account__c"].startswith("001"), "it hangs on the account"


def test_no_pseudonym_leaves_the_house(weeks: Weeks) -> None:
    keys = set(weeks.deployment.lake.read(SCORES, columns=["account_key"])["account_key"].to_pylist())
    values = {str(value) for record in weeks.held["later"].values() for value in record.values()}
    assert not keys & values


def test_a_second_run_sends_nothing(weeks: Weeks) -> None:
    assert weeks.records["again"]["noop"]
    assert weeks.records["again"]["run_id"] == weeks.records["first"]["run_id"]
    assert weeks.processed["again"] == weeks.processed["first"] == len(weeks.held["first"])
    assert weeks.held["again"] == weeks.held["first"]


def test_who_left_is_removed_and_the_ledger_balances(weeks: Weeks) -> None:
    before = weeks.wanted(weeks.deployment.trained_on)
    wanted = weeks.wanted(weeks.deployment.scored_on)
    left = set(before) - set(wanted)
    assert left, "somebody must have left in five weeks"
    assert set(weeks.held["later"]) == set(wanted)
    record = weeks.records["later"]
    assert record["deleted"] == len(left)
    assert {r["As_Of__c"] for r in weeks.held["later"].values()} == {str(weeks.deployment.scored_on)}
    newest = Ledger(weeks.deployment.lake, "salesforce", OBJECT).newest()
    assert newest is not None
    counts = newest.counts()
    assert (counts.balanced, counts.unknown, counts.dead) == (True, 0, 0)


def test_scores_of_a_model_that_never_served_are_refused(working_copy: Deployment) -> None:
    working_copy.lake.delete("ops/promotions", "usecase = 'churn'")
    with pytest.raises(ModelGateError, match="comes from churn/1, which never was champion"):
        publish.run(
            USECASE, working_copy.scored_on, settings=working_copy.settings, params=working_copy.params()
        )


def test_a_day_without_scores_names_the_command_that_makes_them(deployed: Deployment) -> None:
    day = deployed.lake.read(SCORES, columns=["as_of"])["as_of"]
    assert deployed.trained_on in pc.unique(day).to_pylist()
    absent = deployed.trained_on.replace(day=9)
    with pytest.raises(DataContractError, match=f"run `millrace score churn --as-of {absent}` first"):
        publish.run(USECASE, absent, settings=deployed.settings, params=deployed.params())
