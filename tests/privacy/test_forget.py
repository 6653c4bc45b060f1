"""A churn account that is forgotten is in no file of the deployment any more; everybody else is where they were."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset
import pytest
from pydantic import SecretStr

from features.pseudonyms import pseudonym
from pipelines.errors import ConfigError, DataContractError, SinkError
from pipelines.io.runs import STEP_RUNS, recording
from pipelines.io.tombstones import ERASURES
from pipelines.lab.emulator import Emulator
from pipelines.privacy.files import Deliveries
from pipelines.privacy.forget import forget
from pipelines.privacy.person import ERASED
from pipelines.privacy.rows import LakeRows
from pipelines.settings import SalesforceSettings
from pipelines.sinks.ledger import Ledger
from pipelines.sinks.ledger_tables import RunState
from pipelines.steps import run_step

if TYPE_CHECKING:
    from tests.conftest import Deployment

Look = Callable[..., set[str]]
KEY = b"key of the tests"
OBJECT = "Churn_Score__c"


class PowerCut(Exception):
    """Nobody handles it."""


@dataclass
class Story:
    """A deployment in which somebody is everywhere, and what was seen before and after each attempt to forget."""

    deployment: Deployment
    org: Emulator
    gone: str
    name: str
    seen: dict[str, set[str]] = field(default_factory=dict)
    records: dict[str, Any] = field(default_factory=dict)
    rows: dict[str, dict[str, int]] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)

    @property
    def words(self) -> tuple[str, str, str]:
        return (self.gone, pseudonym(self.gone, key=KEY), self.name)


def others(deployment: Deployment, gone: str) -> dict[str, int]:
    """Rows of everybody else, by table."""
    lake, key = deployment.lake, pseudonym(gone, key=KEY)
    found = {}
    for name in lake.tables():
        schema = lake.dataset(name).schema.names
        column = next((each for each in ("account_key", "external_id") if each in schema), None)
        if column:
            values = lake.dataset(name).to_table(columns=[column])[column].to_pylist()
            found[name] = sum(value not in (key, gone) for value in values)
    return found


@pytest.fixture(scope="module")
def story(module_copy: Deployment, look: Look) -> Iterator[Story]:
    var = module_copy.settings.var
    shutil.copytree(module_copy.files, var / "data" / "churn")
    with Emulator(var / "emulator") as org:
        login = SalesforceSettings(
            username=org.credentials.username,
            password=SecretStr(org.credentials.password),
            security_token=SecretStr(org.credentials.security_token),
            instance=org.instance,
            ca_bundle=org.ca_bundle,
        )
        asked = {"salesforce": login, "overrides": {"churn": module_copy.overrides}}
        settings = module_copy.settings.model_copy(update=asked)
        deployment = replace(module_copy, settings=settings)
        told = Story(deployment, org, *somebody(deployment))
        accounts = deployment.lake.read(
            "raw/churn_accounts", columns=["account_id", "account_name"]
        ).to_pylist()
        names = {row["account_id"]: row["account_name"] for row in accounts}
        org.seed_accounts({"Millrace_Account_Id__c": key, "Name": name} for key, name in names.items())
        for day in (deployment.trained_on, deployment.scored_on):
            for step in ("publish", "report"):
                run_step("churn", step, day, settings=settings)
        quote(told)
        told.rows["before"] = others(deployment, told.gone)
        told.versions = {name: deployment.lake.version(name) for name in deployment.lake.tables()}
        told.seen["before"] = look(var, *told.words)
        told.records["dry"] = forget(told.gone, settings=settings, at=at(1), dry_run=True)
        told.seen["dry"] = look(var, *told.words)
        with pytest.MonkeyPatch.context() as patch:
            for number, where in enumerate((Deliveries, LakeRows)):
                cut(patch, where)
                with pytest.raises(PowerCut):
                    forget(told.gone, settings=settings, at=at(2 + number))
                patch.undo()
        told.records["done"] = forget(told.gone, settings=settings, at=at(5))
        told.seen["done"] = look(var, *told.words)
        told.rows["after"] = others(deployment, told.gone)
        told.records["again"] = forget(told.gone, settings=settings, at=at(6))
        yield told


def cut(patch: pytest.MonkeyPatch, store: type) -> None:
    """The machine stops just after a store did its work."""
    erase = store.erase

    def erase_and_die(self: Any, person: Any) -> None:
        erase(self, person)
        raise PowerCut

    patch.setattr(store, "erase", erase_and_die)


def at(hour: int) -> datetime:
    return datetime.combine(date(2025, 7, 8), time(hour))


def somebody(deployment: Deployment) -> tuple[str, str]:
    """An account that is scored on both days, quarantined, and on the work list."""
    lake = deployment.lake
    scored = lake.read("predictions/churn_scores", columns=["account_key"])["account_key"].to_pylist()
    bad = set(lake.read("ops/quarantine", columns=["account_key"])["account_key"].to_pylist())
    rows = lake.read("raw/churn_accounts", columns=["account_key", "account_id", "account_name"]).to_pylist()
    chosen = [row for row in rows if scored.count(row["account_key"]) == 2 and row["account_key"] in bad]
    return chosen[0]["account_id"], chosen[0]["account_name"]


def quote(story: Story) -> None:
    """Texts that name the person where nobody would look: an error, a sample, a log, an artifact, a scratch database."""
    settings, key = story.deployment.settings, pseudonym(story.gone, key=KEY)
    day = story.deployment.scored_on
    with pytest.raises(ValueError, match="offending"), recording(settings, "churn", "score", day):
        raise ValueError(f"offending: {key}")
    with recording(settings, "churn", "publish", day) as done:
        done(
            {
                "planned": 5,
                "sample": [{"External_Id__c": story.gone, "Name": story.name}, {"External_Id__c": "x"}],
            }
        )
    var = settings.var
    for path, text in (
        (var / "logs" / "scheduler.log", f"task failed for {story.gone}\nanother line\n"),
        (
            var / "mlflow" / "artifacts" / "old" / "input_example.json",
            json.dumps({"account_key": [key], "days": [3]}),
        ),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    folder = var / "runs" / "churn-prepare-broken"
    folder.mkdir(parents=True)
    with duckdb.connect(str(folder / "run.duckdb")) as con:
        con.execute("create table scratch as select $key as account_key", {"key": key})


def test_the_person_was_everywhere(story: Story) -> None:
    """Otherwise the next test says nothing."""
    tops = {path.partition("/")[0] for path in story.seen["before"]}
    assert tops == {"data", "emulator", "lake", "logs", "mlflow", "report", "runs"}
    tables = {"/".join(path.split("/")[1:3]) for path in story.seen["before"] if path.startswith("lake/")}
    raw = {
        "raw/churn_accounts",
        "raw/churn_usage_events",
        "ops/quarantine",
        "ops/publish_rows",
        "ops/step_runs",
    }
    made = {
        "features/churn",
        "features/churn_labels",
        "predictions/churn_scores",
        "predictions/churn_contributions",
    }
    assert raw | made <= tables


def test_a_rehearsal_changes_nothing(story: Story) -> None:
    assert story.seen["dry"] == story.seen["before"]
    assert story.records["dry"]["found"]["lake"]["predictions/churn_scores"] == 2


def test_no_file_names_the_person_any_more_but_the_crms_own_account(story: Story) -> None:
    """Not as a value, not in statistics of old log entries, not in free pages; twice cut off meanwhile."""
    assert story.seen["done"] == {"emulator/org.sqlite"}
    held = {record["External_Id__c"] for record in story.org.records(OBJECT)}
    assert story.gone not in held
    assert held
    assert [row.key for row in story.org.audit() if row.key == story.gone] == []
    accounts = [
        each["Name"] for each in story.org.records("Account") if each["Millrace_Account_Id__c"] == story.gone
    ]
    assert accounts == [story.name], "the account is the CRM's: nothing here wrote it"


def test_everybody_else_is_where_they_were(story: Story) -> None:
    """The report runs once more, and the tables of erasures are new."""
    before = story.rows["before"]
    assert {name: story.rows["after"][name] for name in before} == before


def test_the_past_is_gone_and_the_present_is_readable(story: Story) -> None:
    lake = story.deployment.lake
    for name in (
        "raw/churn_accounts",
        "raw/churn_usage_events",
        "features/churn",
        "ops/publish_rows",
        "ops/quarantine",
    ):
        with pytest.raises(DataContractError, match="no longer kept"):
            lake.open(name, story.versions[name])
        kept = [entry["version"] for entry in lake.open(name).history()]
        assert min(kept) > story.versions[name]
        assert lake.dataset(name).count_rows() > 0


def test_texts_keep_what_is_not_about_the_person(story: Story) -> None:
    lake = story.deployment.lake
    words = lake.read(STEP_RUNS, columns=["record_json"])["record_json"].to_pylist()
    assert f"ValueError: offending: {ERASED}" in words
    [sample] = [json.loads(text)["sample"] for text in words if '"sample"' in text]
    assert sample == [ERASED, {"External_Id__c": "x"}]
    log = (story.deployment.settings.var / "logs" / "scheduler.log").read_text()
    assert log == f"task failed for {ERASED}\nanother line\n"


def test_tables_that_were_rewritten_can_still_be_filtered_by_text(story: Story) -> None:
    """Delta's own DELETE leaves files on which Arrow refuses such a filter."""
    lake = story.deployment.lake
    some = pc.field("source_sha256").isin(["a", "b"]) & (pa_dataset.field("usecase") == "churn")
    assert lake.read("ops/quarantine", where=some).num_rows == 0


def test_the_ledger_balances_and_the_publication_goes_on(story: Story) -> None:
    run = Ledger(story.deployment.lake, "salesforce", OBJECT).newest()
    assert run is not None
    assert (run.state, run.counts().balanced) == (RunState.FINISHED, True)
    record = run_step("churn", "publish", story.deployment.scored_on, settings=story.deployment.settings)
    assert (record["sent"], record["deleted"], record["balanced"]) == (0, 0, True)


def test_the_page_was_written_anew_without_the_person(story: Story) -> None:
    page = story.deployment.settings.report_dir / "churn.html"
    assert page.exists()
    assert story.gone not in page.read_text()


def test_the_proof_counts_what_broken_off_attempts_removed(story: Story) -> None:
    assert story.records["done"]["found"] == story.records["dry"]["found"]
    own = story.records["done"]["erasure_id"]
    rows = [row for row in story.deployment.lake.read(ERASURES).to_pylist() if row["erasure_id"] == own]
    assert sorted(row["state"] for row in rows) == ["complete", "open"]
    text = json.dumps(rows, default=str)
    assert not [word for word in story.words if word in text]


def test_asked_again_it_says_when_it_was_done(story: Story) -> None:
    assert story.records["again"] == {
        "erasure_id": story.records["done"]["erasure_id"], "state": "complete", "found": {}, "already": True
    }  # fmt: skip


def test_an_id_that_nobody_knows_is_an_error_and_no_tombstone(story: Story) -> None:
    before = story.deployment.lake.read(ERASURES).num_rows
    with pytest.raises(ConfigError, match="check the id"):
        forget("nobody-1", settings=story.deployment.settings, at=at(7))
    assert story.deployment.lake.read(ERASURES).num_rows == before


def test_a_publication_that_broke_off_is_settled_first(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its job could bring the record back."""
    lake = story.deployment.lake
    somebody_else = next(iter(story.org.records(OBJECT)))["External_Id__c"]
    newest = Ledger.newest

    def unfinished(self: Ledger) -> Any:
        run = newest(self)
        if run is not None:
            run.state = RunState.OPEN
        return run

    monkeypatch.setattr(Ledger, "newest", unfinished)
    with pytest.raises(SinkError, match="broken off"):
        forget(somebody_else, settings=story.deployment.settings, at=at(8))
    key = pseudonym(somebody_else, key=KEY)
    assert lake.read("raw/churn_accounts", where=pa_dataset.field("account_key") == key).num_rows, (
        "nothing was lost"
    )


def test_a_system_that_is_not_configured_here_is_not_passed_over(story: Story) -> None:
    settings = story.deployment.settings.model_copy(update={"salesforce": None})
    somebody_else = next(iter(story.org.records(OBJECT)))["External_Id__c"]
    with pytest.raises(ConfigError, match="MILLRACE_SALESFORCE"):
        forget(somebody_else, settings=settings, at=at(9))
