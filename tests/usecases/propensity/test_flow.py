"""A small bank from raw files to records in Salesforce."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import SecretStr

from features.schemas import Table
from models.recommendation.lists import flags_of
from pipelines.errors import DataContractError
from pipelines.io.lake import Lake, on_day
from pipelines.lab.emulator import Emulator
from pipelines.lab.simulation.propensity import DEFAULT_END, generate
from pipelines.settings import SalesforceSettings, Settings
from pipelines.sources.ingest import ingest
from pipelines.steps import gate, monitor, prepare, publish, report, score, train
from pipelines.usecases.propensity import USECASE
from pipelines.usecases.propensity.schemas import CHANCES, OFFERS, PRODUCTS, RULES

TODAY: date = DEFAULT_END
OVERRIDES = {
    "forest.n_estimators": 30,
    "forest.min_events": 20,
    "gate.bootstrap_replicates": 100,
    "gate.min_takers": 50,
    "gate.min_events": 20,
    "gate.max_failed_share": 1.0,
    "gate.confidence": 0.51,
}


@dataclass(frozen=True)
class Bank:
    """The deployment and what its steps told."""

    settings: Settings
    params: Any
    records: dict[str, dict[str, Any]]
    org: Any

    def rows(self, table: Table | str, day: date = TODAY) -> pd.DataFrame:
        return Lake.of(self.settings).read(table, where=on_day(day)).to_pandas()


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    folder: Path = tmp_path_factory.mktemp("bank")
    with Emulator(folder / "org") as org:
        login = SalesforceSettings(
            username=org.credentials.username,
            password=SecretStr(org.credentials.password),
            security_token=SecretStr(org.credentials.security_token),
            instance=org.instance,
            ca_bundle=org.ca_bundle,
        )
        settings = Settings(
            var=folder / "var", lake="", pseudonym_key=SecretStr("key of the tests"), salesforce=login
        )
        generate(2_500, 1, folder / "data")
        arrived = datetime.combine(TODAY, datetime.min.time())
        ingest("propensity", folder / "data", settings=settings, ingested_at=arrived, quality_checks=False)
        ids = (
            Lake.of(settings)
            .read("raw/propensity_customers", columns=["customer_id"])["customer_id"]
            .to_pylist()
        )
        org.seed_accounts({"Millrace_Account_Id__c": key, "Name": key} for key in sorted(set(ids)))
        params = USECASE.load_params(settings, OVERRIDES)
        given: dict[str, Any] = {"settings": settings, "params": params}
        records = {"prepare": prepare.run(USECASE, TODAY, training=True, **given)}
        for name, step in (("train", train), ("gate", gate), ("score", score), ("monitor", monitor),
                           ("publish", publish), ("report", report)):  # fmt: skip
            records[name] = step.run(USECASE, TODAY, **given)
        yield Bank(settings, params, records, org)


def test_the_gate_lets_a_useful_model_serve(bank: Bank) -> None:
    assert bank.records["gate"]["outcome"] == "promoted", bank.records["gate"]["words"]
    assert bank.records["train"]["map3"] > bank.records["train"]["map3_popularity"]


def test_nobody_is_offered_what_they_hold_and_consent_is_kept(bank: Bank) -> None:
    features = bank.rows("features/propensity").set_index("customer_key")
    offers = bank.rows(OFFERS).set_index("customer_key")
    assert set(offers.index) == set(features.index[features["in_scope"]])
    held = features.loc[offers.index, "held"].str.split("|")
    for place in (1, 2, 3):
        offered = zip(offers[f"product_{place}"], held, strict=True)
        assert not [product for product, own in offered if product in own]


def test_chances_are_of_products_not_held_and_agree_with_the_offers(bank: Bank) -> None:
    chances, offers = bank.rows(CHANCES), bank.rows(OFFERS)
    assert chances["chance"].between(0, 1).all()
    both = offers.merge(chances, left_on=["customer_key", "product_1"], right_on=["customer_key", "product"])
    assert len(both) == offers["product_1"].notna().sum()
    np.testing.assert_array_equal(both["chance_1"], both["chance"])
    assert offers["reason_1"].dropna().str.contains("customers like you").all()


def test_calibration_of_the_judged_products_is_recomputed(bank: Bank) -> None:
    found = bank.rows(PRODUCTS).set_index("product")
    assert (found["events"] >= 0).all()
    assert ((found["ap_low"] <= found["ap_high"]) | found["ap"].isna()).all()
    rules = bank.rows(RULES)
    assert (rules["lift"] > 1).all()
    assert rules["rule"].str.contains("times as likely").all()


def test_labels_are_complete_before_they_are_learned_from(bank: Bank) -> None:
    labels = Lake.of(bank.settings).read("features/propensity_labels").to_pandas()
    assert pd.to_datetime(labels["label_known_on"]).max() < pd.Timestamp(TODAY)
    assert flags_of(labels["taken"], ("nothing of this name",)).sum() == 0


def test_salesforce_holds_one_record_per_customer_with_offers(bank: Bank) -> None:
    record, offers = bank.records["publish"], bank.rows(OFFERS)
    assert record["sent"] == record["ok"] == len(offers)
    held = {row["External_Id__c"]: row for row in bank.org.records("Product_Offer__c")}
    assert len(held) == len(offers)
    again = publish.run(USECASE, TODAY, settings=bank.settings, params=bank.params)
    assert again["noop"] or again["sent"] == 0


def test_the_same_day_gives_the_same_bytes(bank: Bank) -> None:
    again = score.run(USECASE, TODAY, settings=bank.settings, params=bank.params)
    assert again["content_hash"] == bank.records["score"]["content_hash"]


def test_the_page_shows_offers_rules_and_products(bank: Bank) -> None:
    assert bank.records["report"]["missing"] == []
    page = Path(bank.records["report"]["page"]).read_text()
    assert "Which product for whom" in page
    assert bank.rows(RULES)["rule"].iloc[0].split(":")[0][:20] in page


def test_an_offer_is_explained_in_words(bank: Bank) -> None:
    key = bank.rows(OFFERS)["customer_key"].iloc[0]
    here = USECASE.run(TODAY, bank.settings, bank.params)
    record = USECASE.explain.run(here, [key])
    text = USECASE.explain.text(record)
    assert record["product_1"] in text
    assert "customers like you" in text
    with pytest.raises(DataContractError, match="no offers for"):
        USECASE.explain.run(here, ["nobody"])


def test_a_day_without_offers_is_an_alarm(bank: Bank) -> None:
    record = monitor.run(USECASE, TODAY + timedelta(days=1), settings=bank.settings, params=bank.params)
    assert [alarm["name"] for alarm in record["alarms"]] == ["offers"]
