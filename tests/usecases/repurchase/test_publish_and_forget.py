"""Repurchase leaves for DynamoDB and Salesforce; a customer who is forgotten leaves everything, lines of orders too."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pa_dataset
import pytest
from pydantic import SecretStr

from features.pseudonyms import pseudonym
from pipelines.errors import DataContractError, ModelGateError, SinkError
from pipelines.io.lake import Lake
from pipelines.io.promotions import Outcome, Promotion, append_promotion
from pipelines.io.tombstones import ERASURES, TOMBSTONES
from pipelines.lab.emulator import Emulator
from pipelines.lab.local import LocalStack, Ports
from pipelines.privacy.forget import forget
from pipelines.settings import DynamoSettings, SalesforceSettings, Settings
from pipelines.sinks.dynamodb.reader import Reader
from pipelines.sinks.ledger import Ledger
from pipelines.sinks.ledger_tables import ROWS
from pipelines.sources.ingest import ingest
from pipelines.sources.landed import INGESTS, QUARANTINE
from pipelines.steps import publish
from pipelines.usecases.repurchase import USECASE
from pipelines.usecases.repurchase.schemas import BASKETS, NEXT_ORDERS

OBJECT, NAMESPACE = "Next_Order__c", "repurchase"

DAY = date(2026, 1, 5)
NEXT = DAY + timedelta(days=1)
KEY = b"key of the tests"
CUSTOMERS = [f"C-{number:05d}" for number in range(12)]
GONE, STAYS, NEW = CUSTOMERS[3], CUSTOMERS[4], CUSTOMERS[11]
PRODUCTS = ["P1", "P2", "P3"]


def order_id(customer: str, number: int) -> str:
    return f"{customer.removeprefix('C-')}-{number:03d}x"


ORDERS_OF_GONE = [order_id(GONE, number) for number in range(3)]


def deliver(folder: Path) -> None:
    """Files of a small shop: three orders each, two lines an order; one line of ``GONE`` breaks a rule."""
    orders, lines = (
        ["order_id,customer_id,ordered_at,known_at"],
        ["order_id,product_id,quantity,position,ordered_on,known_at"],
    )
    for customer in CUSTOMERS:
        for number in range(3):
            when = datetime.combine(DAY - timedelta(days=10 * (3 - number)), time(9))
            orders.append(f"{order_id(customer, number)},{customer},{when},{when + timedelta(hours=1)}")
            for position, product in enumerate(PRODUCTS[:2], start=1):
                quantity = -1 if (customer, number, position) == (GONE, 1, 2) else 2
                known = when + timedelta(hours=1)
                lines.append(
                    f"{order_id(customer, number)},{product},{quantity},{position},{when:%Y-%m-%d},{known}"
                )
    products = ["product_id,product_name,aisle,department,price_eur,known_at"]
    products += [f"{each},Product {each[1]},,,1.5,2025-01-01 00:00:00" for each in PRODUCTS[:2]]
    folder.mkdir(parents=True)
    for name, rows in (("orders", orders), ("order_lines", lines), ("products", products)):
        (folder / f"{name}.csv").write_text("\n".join(rows) + "\n")


def predict(lake: Lake, day: date, customers: list[str], version: str = "repurchase/1") -> None:
    """Predictions as scoring writes them; every third customer's list is empty."""
    heads, lists = [], []
    for number, customer in enumerate(customers):
        key = pseudonym(customer, key=KEY)
        listed = [] if number % 3 == 2 else PRODUCTS[: 1 + number % 3]
        heads.append(
            {
                "as_of": day, "customer_key": key, "return_probability": 0.9 - number / 100,
                "expected_on": DAY + timedelta(days=7),
                "window_from": DAY + timedelta(days=4), "window_to": DAY + timedelta(days=15), "expected_days": 7.0,
                "orders": 3, "days_since_last": (day - DAY).days + 10, "gap_median_days": 10.0, "candidates": 2,
                "products": len(listed), "expected_f1": 0.5, "nothing_probability": 0.1,
                "top_products": json.dumps(PRODUCTS), "model_version": version,
            }
        )  # fmt: skip
        lists += [
            {
                "as_of": day,
                "customer_key": key,
                "product_id": each,
                "rank": place,
                "probability": 0.9 - place / 10,
            }
            for place, each in enumerate(listed, start=1)
        ]
    for table, rows in ((NEXT_ORDERS, heads), (BASKETS, lists)):
        lake.replace_partition(table, pa.Table.from_pylist(rows, schema=table.arrow_schema), {"as_of": day})


def promote(lake: Lake) -> None:
    append_promotion(
        lake,
        Promotion(
            "repurchase", DAY, "repurchase/1", Outcome.PROMOTED, "good", datetime.combine(DAY, time()), "test"
        ),
    )


@dataclass
class Story:
    """A day published, a customer forgotten, the old files delivered again, the next day published."""

    settings: Settings
    org: Emulator
    archive: Path
    records: dict[str, Any] = field(default_factory=dict)
    held: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    items: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def lake(self) -> Lake:
        return Lake.of(self.settings)

    def look(self, name: str) -> None:
        """Note what the two systems hold."""
        self.held[name] = {record["External_Id__c"]: record for record in self.org.records(OBJECT)}
        with Reader.open(self.settings, NAMESPACE) as reader:
            self.items[name] = reader.get_many(CUSTOMERS).found


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    var = tmp_path_factory.mktemp("shop")
    with (
        pytest.MonkeyPatch.context() as patch,
        Emulator() as org,
        LocalStack(Settings(var=var), Ports.free()) as stack,
    ):
        patch.setenv("AWS_ACCESS_KEY_ID", "tests")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "tests")
        stack.start_dynamodb()
        login = SalesforceSettings(
            username=org.credentials.username,
            password=SecretStr(org.credentials.password),
            security_token=SecretStr(org.credentials.security_token),
            instance=org.instance,
            ca_bundle=org.ca_bundle,
        )
        place = DynamoSettings(
            table="shop",
            region="eu-west-3",
            endpoint_url=f"http://127.0.0.1:{stack.ports.dynamodb}",
            create_table=True,
        )
        settings = Settings(var=var, salesforce=login, dynamodb=place)
        told = Story(settings, org, var / "archive")
        delivered = var / "data" / "repurchase"
        deliver(delivered)
        shutil.copytree(delivered, told.archive)
        org.seed_accounts({"Millrace_Account_Id__c": each, "Name": f"Customer {each}"} for each in CUSTOMERS)
        land(told, "landed", delivered, hour=3)
        told.records["too early"] = refusal(settings, DAY)
        predict(told.lake, DAY, CUSTOMERS[:11])
        told.records["never champion"] = refusal(settings, DAY)
        promote(told.lake)
        told.records["first"] = publish.run(USECASE, DAY, settings=settings)
        told.look("first")
        predict(told.lake, NEXT, CUSTOMERS)
        told.records["versions"] = {name: told.lake.version(name) for name in told.lake.tables()}
        told.records["dry"] = forget(GONE, settings=settings, at=at(4), dry_run=True)
        told.records["forgotten"] = forget(GONE, settings=settings, at=at(5))
        told.look("forgotten")
        told.records["again"] = forget(GONE, settings=settings, at=at(6))
        land(told, "archive", told.archive, hour=7)
        land(told, "archive again", told.archive, hour=8)
        told.records["next"] = publish.run(USECASE, NEXT, settings=settings)
        told.look("next")
        yield told


def at(hour: int) -> datetime:
    return datetime.combine(DAY, time(hour))


def land(story: Story, name: str, folder: Path, *, hour: int) -> None:
    story.records[name] = ingest(
        "repurchase", folder, settings=story.settings, ingested_at=at(hour), quality_checks=False
    )


def refusal(settings: Settings, day: date) -> BaseException:
    with pytest.raises((DataContractError, ModelGateError, SinkError)) as caught:
        publish.run(USECASE, day, settings=settings)
    return caught.value


def counts(story: Story, name: str) -> dict[str, dict[str, int]]:
    return {row.table: vars(row) for row in story.records[name].tables}


# ------------------------------------------------------------------------------------- publication


def test_both_systems_hold_exactly_the_predicted_customers(story: Story) -> None:
    assert set(story.held["first"]) == set(story.items["first"]) == set(CUSTOMERS[:11])
    for sink in ("dynamodb", "salesforce"):
        record = story.records["first"][sink]
        assert (record["ok"], record["sent"], record["balanced"]) == (11, 11, True)


def test_an_item_says_when_and_with_what(story: Story) -> None:
    item = story.items["first"][CUSTOMERS[1]]
    assert (item["expected_on"], item["window_from"], item["window_to"]) == (
        "2026-01-12",
        "2026-01-09",
        "2026-01-20",
    )
    assert (item["products"], item["product_names"]) == (["P1", "P2"], ["Product 1", "Product 2"])
    assert [float(each) for each in item["probabilities"]] == [0.8, 0.7]
    assert story.items["first"][CUSTOMERS[2]]["products"] == [], "nothing again is an answer, not a gap"


def test_a_record_says_it_to_marketing(story: Story) -> None:
    record = story.held["first"][CUSTOMERS[0]]
    assert (record["Expected_On__c"], record["Return_Probability__c"]) == ("2026-01-12", 0.9)
    assert (record["Products__c"], record["Orders__c"], record["Last_Order_On__c"]) == (1, 3, "2025-12-26")
    assert record["Top_Products__c"].splitlines() == ["Product 1", "Product 2", "P3"], "P3 has no name"
    assert record["Account__c"].startswith("001"), "it hangs on the account"


def test_only_changed_predictions_are_sent(story: Story) -> None:
    """The next day predicts the same of everybody; somebody new and the forgotten customer's leaving apart."""
    record = story.records["next"]["salesforce"]
    assert (record["sent"], record["ok"], record["deleted"]) == (1, 1, 0)
    assert set(story.held["next"]) == set(CUSTOMERS) - {GONE}
    assert set(story.items["next"]) == set(CUSTOMERS) - {GONE}


def test_no_pseudonym_leaves_the_house(story: Story) -> None:
    keys = {pseudonym(each, key=KEY) for each in CUSTOMERS}
    text = json.dumps([story.held["next"], story.items["next"]], default=str)
    assert not [key for key in keys if key in text]


def test_a_day_without_predictions_and_a_model_without_a_verdict_are_refused(story: Story) -> None:
    assert isinstance(story.records["too early"], DataContractError)
    assert "millrace score repurchase" in str(story.records["too early"])
    assert isinstance(story.records["never champion"], ModelGateError)


# -------------------------------------------------------------------------------------- forgetting


def test_a_rehearsal_counts_and_changes_nothing(story: Story) -> None:
    found = story.records["dry"]["found"]
    assert found["salesforce"] == {"Next_Order__c": 1, "Next_Order__c (jobs)": 1}
    assert found["dynamodb"] == {"shop/repurchase": 1}
    assert found["lake"] == {
        "ops/publish_rows": found["lake"]["ops/publish_rows"],
        "ops/quarantine": 1,
        "predictions/repurchase_baskets": 2,
        "predictions/repurchase_next_order": 2,
        "raw/repurchase_order_lines": 5,
        "raw/repurchase_orders": 3,
    }
    assert found["delivered files"] == {"repurchase/orders.csv": 3, "repurchase/order_lines.csv": 6}
    assert story.records["forgotten"]["found"] == found, "nothing had been removed before"


def test_the_customer_is_gone_and_the_others_are_not(story: Story) -> None:
    assert set(story.held["forgotten"]) == set(story.items["forgotten"]) == set(CUSTOMERS[:11]) - {GONE}
    key = pseudonym(GONE, key=KEY)
    for table in ("raw/repurchase_orders", NEXT_ORDERS.name, BASKETS.name):
        kept = story.lake.read(table, columns=["customer_key"])["customer_key"].to_pylist()
        assert key not in kept
        assert pseudonym(STAYS, key=KEY) in kept
    lines = story.lake.read("raw/repurchase_order_lines", columns=["order_id"])["order_id"].to_pylist()
    assert not set(ORDERS_OF_GONE) & set(lines)
    assert len(lines) == 11 * 3 * 2


def test_lines_of_the_orders_leave_the_quarantine_too(story: Story) -> None:
    keys = story.lake.read(QUARANTINE, columns=["row_key"])["row_key"].to_pylist()
    assert not [key for key in keys if any(order in key for order in ORDERS_OF_GONE)]


def test_old_versions_cannot_be_read_any_more(story: Story) -> None:
    for name in ("raw/repurchase_orders", "raw/repurchase_order_lines", NEXT_ORDERS.name, ROWS.name):
        version = story.records["versions"][name]
        with pytest.raises(DataContractError, match="no longer kept"):
            story.lake.open(name, version)


def test_the_ledger_still_balances(story: Story) -> None:
    for sink, object_ in (("salesforce", OBJECT), ("dynamodb", "shop/repurchase")):
        run = Ledger(story.lake, sink, object_).newest()
        assert run is not None
        assert run.counts().balanced
        assert GONE not in run.rows()["external_id"].to_list()


def test_old_files_bring_nothing_back_and_the_refused_rows_are_counted(story: Story) -> None:
    refused = {table: row["forgotten"] for table, row in counts(story, "archive").items()}
    assert refused == {"products": 0, "orders": 3, "order_lines": 6}
    for row in counts(story, "archive").values():
        assert row["read"] == sum(
            row[fate] for fate in ("landed", "already_landed", "duplicates", "quarantined", "forgotten")
        )
        assert row["landed"] == row["quarantined"] == 0
    assert counts(story, "archive again")["orders"]["files_known"] == 1, (
        "read once more after an erasure, not for ever"
    )
    entries = story.lake.read(INGESTS, where=pa_dataset.field("forgotten") > 0).to_pylist()
    assert {(row["table_name"], row["forgotten"]) for row in entries} == {("orders", 3), ("order_lines", 6)}


def test_the_proof_names_nobody(story: Story) -> None:
    rows = story.lake.read(ERASURES).sort_by("recorded_at").to_pylist()
    assert sorted(row["state"] for row in rows) == ["complete", "open"]
    stones = story.lake.read(TOMBSTONES).to_pylist()
    assert len(stones) == 1 + len(ORDERS_OF_GONE)
    text = json.dumps([rows, stones], default=str)
    for each in (GONE, pseudonym(GONE, key=KEY), *ORDERS_OF_GONE):
        assert each not in text


def test_the_second_time_there_is_nothing_left_to_do(story: Story) -> None:
    again = story.records["again"]
    assert (again["already"], again["found"]) == (True, {})
    assert again["erasure_id"] == story.records["forgotten"]["erasure_id"]
