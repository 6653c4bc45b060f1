"""RavenStack goes the same path as any delivery; what is impossible in it ends in quarantine."""

# ruff: noqa: DTZ001 - times in the lake are UTC without a zone

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import DataContractError
from pipelines.io.lake import Lake
from pipelines.settings import Settings
from pipelines.sources.ingest import IngestReport
from pipelines.sources.landed import QUARANTINE, landed_table
from pipelines.usecases.churn.layouts import LAYOUTS

Land = Callable[..., IngestReport]

FILES = {
    "accounts": """account_id,account_name,industry,country,signup_date,referral_source,churn_flag
A-1,One,FinTech,UK,2024-01-10,ads,False
A-2,Two,EdTech,US,2024-03-05,ads,True
""",
    "subscriptions": """subscription_id,account_id,start_date,end_date,plan_tier,seats,mrr_amount,is_trial,billing_frequency
S-1,A-1,2024-01-31,2024-03-15,Basic,3,57,False,monthly
S-2,A-1,2024-02-10,,Enterprise,5,900,False,annual
S-3,A-2,2024-03-05,,Pro,2,0,True,monthly
S-4,A-2,2024-04-20,2024-04-20,Pro,2,90,False,monthly
S-5,A-9,2024-04-20,,Pro,2,90,False,monthly
""",
    "feature_usage": """usage_id,subscription_id,usage_date,feature_name,usage_count,usage_duration_secs,error_count
U-1,S-1,2024-01-30,feature_4,3,600,0
U-2,S-1,2024-02-11,feature_4,3,600,0
U-2,S-2,2024-02-11,feature_9,1,90,0
U-3,S-2,2024-02-11,feature_1,1,180,0
U-4,S-1,2024-03-16,feature_2,3,600,0
U-5,S-2,2024-05-02,feature_2,3,-1,0
U-6,S-8,2024-05-02,feature_2,3,60,0
""",
    "support_tickets": """ticket_id,account_id,submitted_at,closed_at,priority,satisfaction_score
T-1,A-1,2024-02-01,2024-02-02 03:00:00,medium,4.0
T-2,A-2,2024-03-04,2024-03-06 03:00:00,high,
T-3,A-2,2024-05-04,,urgent,
T-4,A-1,2024-01-20,2024-01-21 03:00:00,low,3.0
T-5,A-1,2024-02-20,2024-02-20 00:00:00,low,3.0
""",
    "churn_events": """churn_event_id,account_id,churn_date
C-1,A-1,2024-03-20
C-2,A-2,2024-05-20
""",
}  # fmt: skip


@pytest.fixture
def delivery(tmp_path: Path) -> Path:
    folder = tmp_path / "ravenstack"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / f"ravenstack_{name}.csv").write_text(text)
    return folder


def rows(settings: Settings, table: str, key: str) -> dict[Any, dict[str, Any]]:
    return {row[key]: row for row in Lake.of(settings).read(f"raw/churn_{table}").to_pylist()}


def test_bad_rows_are_quarantined_under_the_source_file(
    delivery: Path, land: Land, settings: Settings
) -> None:
    report = land(delivery, source="ravenstack")
    found = {
        (row["source_file"].removeprefix("ravenstack_"), row["row_number"]): json.loads(row["rules"])
        for row in Lake.of(settings).read(QUARANTINE).to_pylist()
    }
    assert found == {
        ("subscriptions.csv", 5): ["account_id must exist in ravenstack_accounts.account_id"],
        ("feature_usage.csv", 1): ["usage_date must not be before its subscription starts"],
        ("feature_usage.csv", 5): ["usage_date must not be after its subscription ended"],
        ("feature_usage.csv", 6): ["usage_duration_secs must be >= 0"],
        ("feature_usage.csv", 7): ["subscription_id must exist in ravenstack_subscriptions.subscription_id"],
        ("support_tickets.csv", 2): ["submitted_at must not be before its account signed up"],
        ("support_tickets.csv", 4): ["submitted_at must be a day on which its account has a subscription"],
    }
    assert {t.table: (t.read, t.landed, t.quarantined) for t in report.adapted} == {
        "ravenstack_accounts": (2, 2, 0),
        "ravenstack_subscriptions": (5, 4, 1),
        "ravenstack_feature_usage": (7, 3, 4),
        "ravenstack_support_tickets": (5, 3, 2),
        "ravenstack_churn_events": (2, 2, 0),
    }
    assert report.notes == (
        "2 of 2 churn events have a paid subscription of the account that ended within 31 days",
        "1 of 2 churn events leave another paid subscription of the account running",
    )


def test_subscriptions_become_terms_that_tell_nothing_about_the_future(
    delivery: Path, land: Land, settings: Settings
) -> None:
    land(delivery, source="ravenstack")
    terms = rows(settings, "subscriptions", "term_id")
    shown = {k: (v["term_start"], v["term_end"], v["known_at"]) for k, v in terms.items() if k < "S-2"}
    assert shown == {  # cancelled on 15 March: the term that runs then is the last, and keeps its end
        "S-1-00": (date(2024, 1, 31), date(2024, 2, 29), datetime(2024, 1, 31, 23, 59, 59)),
        "S-1-01": (date(2024, 2, 29), date(2024, 3, 31), datetime(2024, 2, 28, 23, 59, 59)),
    }
    assert terms["S-2-00"]["term_end"] == date(2025, 2, 10)
    assert (terms["S-2-00"]["plan_tier"], terms["S-2-00"]["mrr_eur"]) == ("business", 900)
    # The data ends on 4 May (the last day that any file names): S-3 is renewed until then.
    assert [k for k in terms if k.startswith("S-3")] == ["S-3-00", "S-3-01"]
    assert [k for k in terms if k.startswith("S-4")] == ["S-4-00"]


def test_a_subscription_is_the_unit(delivery: Path, land: Land, settings: Settings) -> None:
    land(delivery, source="ravenstack")
    accounts = rows(settings, "accounts", "account_id")
    assert {
        k: (v["account_name"], v["country"], v["signed_up_on"], v["known_at"]) for k, v in accounts.items()
    } == {
        "S-1": ("One / S-1", "GB", date(2024, 1, 10), datetime(2024, 1, 31, 23, 59, 59)),
        "S-2": ("One / S-2", "GB", date(2024, 1, 10), datetime(2024, 2, 10, 23, 59, 59)),
        "S-3": ("Two / S-3", "US", date(2024, 3, 5), datetime(2024, 3, 5, 23, 59, 59)),
        "S-4": ("Two / S-4", "US", date(2024, 3, 5), datetime(2024, 4, 20, 23, 59, 59)),
    }
    key = {name: row["account_key"] for name, row in accounts.items()}
    usage = rows(settings, "usage_events", "account_key")
    shown = ("used_on", "logins", "duration_min", "features_used")
    assert {k: tuple(v[name] for name in shown) for k, v in usage.items()} == {
        key["S-1"]: (date(2024, 2, 11), 1, 10.0, "feature_4"),
        key["S-2"]: (date(2024, 2, 11), 2, 4.5, "feature_1|feature_9"),
    }


def test_tickets_get_a_version_per_state_for_each_running_subscription(
    delivery: Path, land: Land, settings: Settings
) -> None:
    land(delivery, source="ravenstack")
    found = Lake.of(settings).read("raw/churn_support_tickets").to_pylist()
    assert sorted((r["ticket_id"], r["known_at"], r["status"], r["priority"], r["csat"]) for r in found) == [
        ("T-1/S-1", datetime(2024, 2, 1), "open", "normal", None),
        ("T-1/S-1", datetime(2024, 2, 2, 3), "closed", "normal", 4),
        ("T-3/S-3", datetime(2024, 5, 4), "open", "urgent", None),
        ("T-5/S-1", datetime(2024, 2, 20), "closed", "low", 3),  # never seen open
        ("T-5/S-2", datetime(2024, 2, 20), "closed", "low", 3),
    ]
    invoices = Lake.of(settings).read("raw/churn_invoices")
    assert (invoices.schema.names[0], invoices.num_rows) == ("invoice_id", 0)


def test_the_same_files_again_change_nothing(delivery: Path, land: Land, settings: Settings) -> None:
    land(delivery, source="ravenstack")
    lake = Lake.of(settings)
    names = [landed_table("churn", layout).name for layout in LAYOUTS] + ["ops/ingests", "ops/quarantine"]
    before = {name: lake.version(name) for name in names}
    again = land(delivery, source="ravenstack", ingested_at=datetime(2025, 1, 1))
    assert {name: lake.version(name) for name in names} == before
    assert sum(t.landed for t in again.tables) == 0


def test_an_absent_file_is_named(delivery: Path, land: Land, settings: Settings) -> None:
    (delivery / "ravenstack_churn_events.csv").unlink()
    with pytest.raises(DataContractError, match=r"missing \['ravenstack_churn_events\.csv'\]"):
        land(delivery, source="ravenstack")
    assert not Path(settings.lake_uri).exists()


@pytest.mark.real_data
def test_the_published_files(data_dir: Path, land: Land, settings: Settings) -> None:
    # "RavenStack: synthetic SaaS dataset", published on Kaggle by Rivalytics.
    report = land(data_dir / "ravenstack", source="ravenstack")
    assert {t.table: (t.read, t.landed, t.quarantined) for t in report.adapted} == {
        "ravenstack_accounts": (500, 500, 0),
        "ravenstack_subscriptions": (5000, 5000, 0),
        "ravenstack_feature_usage": (25000, 5568, 19432),
        "ravenstack_support_tickets": (2000, 829, 1171),
        "ravenstack_churn_events": (600, 600, 0),
    }
    usage = report.adapted[2].rules
    assert usage["usage_date must not be before its subscription starts"] == 19142  # 76.6 %
    assert usage["usage_date must not be after its subscription ended"] == 290
    assert {t.table: (t.landed, t.quarantined) for t in report.tables} == {
        "accounts": (5000, 0),
        "subscriptions": (17524, 0),
        "usage_events": (5553, 0),
        "invoices": (0, 0),
        "support_tickets": (8986, 0),
    }
    lake = Lake.of(settings)
    assert sum(lake.read("raw/churn_usage_events")["logins"].to_pylist()) == 5568
    terms = lake.read("raw/churn_subscriptions").to_pandas().sort_values(["subscription_id", "term_start"])
    later = terms[terms.duplicated("subscription_id")]
    ends = terms.groupby("subscription_id")["term_end"].shift()
    assert len(later) == 17524 - 5000
    assert (later["term_start"] == ends[later.index]).all()  # a renewal starts where the term ends
