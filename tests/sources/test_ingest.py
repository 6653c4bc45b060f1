"""Every delivered row is landed or accounted for, whatever is wrong with it and whatever dies."""

# ruff: noqa: DTZ001 - times in the lake are UTC without a zone

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from features.pseudonyms import pseudonym
from pipelines.errors import ConfigError, DataContractError
from pipelines.io.hashing import content_hash
from pipelines.io.lake import Commit, Lake
from pipelines.lab.simulation.churn import generate
from pipelines.settings import Settings
from pipelines.sources import fates, validation
from pipelines.sources.fates import CONFLICT
from pipelines.sources.ingest import IngestReport, ingest
from pipelines.sources.landed import INGESTS, QUARANTINE, landed_table
from pipelines.usecases.churn.layouts import LAYOUTS

Company = dict[str, list[dict[str, str | None]]]
Write = Callable[..., Path]
Land = Callable[..., IngestReport]

TABLES = {layout.table.name: landed_table("churn", layout) for layout in LAYOUTS}
ROWS = {"accounts": 5, "subscriptions": 15, "usage_events": 15, "invoices": 15, "support_tickets": 5}


def lake_of(settings: Settings) -> Lake:
    return Lake.of(settings)


def state(settings: Settings) -> dict[str, str]:
    """Content of the raw tables without the stamp, to compare two lakes."""
    lake = lake_of(settings)
    return {
        name: content_hash(lake.read(table).drop_columns("ingested_at"), sort_by=table.key)
        for name, table in TABLES.items()
        if lake.exists(table.name)
    }


def versions(settings: Settings) -> dict[str, int]:
    lake = lake_of(settings)
    names = [table.name for table in TABLES.values()] + ["ops/ingests", "ops/quarantine", "ops/sources"]
    return {name: lake.version(name) for name in names if lake.exists(name)}


def quarantine(settings: Settings) -> list[dict[str, Any]]:
    return lake_of(settings).read(QUARANTINE, missing_ok=True).to_pylist()


def counts(report: IngestReport, table: str) -> tuple[int, int, int, int, int]:
    (found,) = [t for t in report.tables if t.table == table]
    return found.read, found.landed, found.already_landed, found.duplicates, found.quarantined


# ------------------------------------------------------------------------------------ what lands


def test_a_clean_delivery_lands_in_full_under_pseudonyms(
    company: Company, write_files: Write, land: Land, settings: Settings, tmp_path: Path
) -> None:
    report = land(write_files(tmp_path / "in", company))
    assert {t.table: t.landed for t in report.tables} == ROWS
    assert quarantine(settings) == []
    lake = lake_of(settings)
    accounts = {row["account_id"]: row for row in lake.read("raw/churn_accounts").to_pylist()}
    key = pseudonym("ACC-2", key=settings.load_pseudonym_key())
    assert accounts["ACC-2"]["account_key"] == key
    assert accounts["ACC-1"]["sector"] is None
    usage = [r for r in lake.read("raw/churn_usage_events").to_pylist() if r["account_key"] == key]
    assert sorted(usage, key=lambda row: row["used_on"])[1] == {
        "account_key": key,
        "used_on": date(2024, 2, 10),
        "logins": 4,
        "duration_min": 32.25,
        "features_used": "api|reports",
        "known_at": datetime(2024, 2, 11, 2),
        "used_month": "2024-02",
        "ingested_at": datetime(2024, 6, 1, 12),
    }
    for name, table in TABLES.items():
        assert ("account_id" in lake.dataset(table.name).schema.names) == (name == "accounts")


def test_csv_gzip_and_parquet_land_the_same(company: Company, write_files: Write, tmp_path: Path) -> None:
    company["usage_events"][3]["logins"] = "0"
    found = []
    for kind in ("csv", "csv.gz", "parquet"):
        settings = Settings(var=tmp_path / kind)
        folder = write_files(tmp_path / f"in-{kind}", company, kind)
        ingest("churn", folder, settings=settings, ingested_at=datetime(2024, 6, 1), quality_checks=False)
        bad = [(r["table_name"], r["row_number"], r["row_key"], r["reasons"]) for r in quarantine(settings)]
        found.append((state(settings), bad))
    assert found[0] == found[1] == found[2]
    assert found[0][1][0][3] == "logins must be >= 1, got 0"


def test_a_folder_of_files_is_one_table(
    company: Company, write_files: Write, land: Land, settings: Settings, tmp_path: Path
) -> None:
    folder = write_files(tmp_path / "in", company | {"usage_events": []})
    (folder / "usage_events.csv").unlink()
    half = write_files(tmp_path / "a", {"usage_events": company["usage_events"][:7]})
    rest = write_files(tmp_path / "b", {"usage_events": company["usage_events"][5:]}, "parquet")
    (folder / "usage_events").mkdir()
    (half / "usage_events.csv").rename(folder / "usage_events" / "2024-01.csv")
    (rest / "usage_events.parquet").rename(folder / "usage_events" / "2024-02.parquet")
    report = land(folder)
    assert counts(report, "usage_events") == (17, 15, 0, 2, 0)  # rows 5 and 6 are in both files


def test_undeclared_columns_are_named_and_not_landed(
    company: Company, write_files: Write, land: Land, settings: Settings, tmp_path: Path
) -> None:
    folder = write_files(tmp_path / "in", company, "parquet")
    path = folder / "accounts.parquet"
    table = pq.read_table(path)
    pq.write_table(table.append_column("iban", pa.array(["FR76"] * table.num_rows)), path)
    report = land(folder)
    assert report.tables[0].undeclared == ("iban",)
    assert "iban" not in lake_of(settings).dataset("raw/churn_accounts").schema.names


def test_great_expectations_sees_what_lands_and_its_pages_are_built(
    company: Company, write_files: Write, land: Land, settings: Settings, tmp_path: Path
) -> None:
    company["usage_events"][0]["logins"] = "0"
    land(write_files(tmp_path / "in", company), quality_checks=True)
    for name, rows in ROWS.items():
        result = json.loads((settings.var / "gx" / "results" / f"raw_churn_{name}.json").read_text())
        assert (result["success"], result["rows"]) == (True, rows - (name == "usage_events"))
    assert "raw_churn_invoices" in (settings.report_dir / "data_docs" / "index.html").read_text()


def test_what_the_audit_of_whole_tables_refuses_does_not_land(
    company: Company,
    write_files: Write,
    land: Land,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Both have their rules from one place, so a row that passed can only be refused where they disagree:
    # make the checks of delivered rows forget them.
    monkeypatch.setattr(validation, "_column_rules", lambda column: [])
    company["invoices"][2]["amount_eur"] = "-5"
    with pytest.raises(
        DataContractError,
        match=r"nothing was landed.*amount_eur must be >= 0, got -5\.0 \(offending rows: 1\)",
    ):
        land(write_files(tmp_path / "in", company), quality_checks=True)
    assert versions(settings) == {}


# ------------------------------------------------------------------------------- what is refused

#: (table, columns to set, the rule that must be named). Each is the only defect of its row.
DEFECTS: list[tuple[str, dict[str, str | None], str]] = [
    ("accounts", {"employees": "0"}, "employees must be >= 1"),
    ("accounts", {"signed_up_on": None}, "signed_up_on must not be null"),
    ("accounts", {"signed_up_on": "05/01/2024"}, "signed_up_on must be a date (YYYY-MM-DD)"),
    ("accounts", {"known_at": "2024-01-04 00:00:00"}, "known_at must not be before signed_up_on"),
    ("accounts", {"founded_on": "0202-01-01"}, "founded_on must lie between 1800-01-01 and 2099-12-31"),
    ("subscriptions", {"seats": "2.5"}, "seats must be a whole number"),
    ("subscriptions", {"seats": "three"}, "seats must be a whole number"),
    ("subscriptions", {"mrr_eur": "-1"}, "mrr_eur must be >= 0"),
    ("subscriptions", {"mrr_eur": "nan"}, "mrr_eur must be finite"),
    ("subscriptions", {"is_trial": "maybe"}, "is_trial must be true or false"),
    ("subscriptions", {"is_trial": "true"}, "mrr_eur must be 0 for a trial"),
    ("subscriptions", {"plan_tier": "Growth"}, "plan_tier must be one of starter, growth, business"),
    ("subscriptions", {"term_end": "2023-12-01"}, "term_end must be after term_start"),
    ("subscriptions", {"account_id": "ACC-99"}, "account_id must exist in accounts.account_id"),
    ("subscriptions", {"account_id": None}, "account_id must not be null"),
    ("usage_events", {"known_at": "2023-12-31 00:00:00"}, "known_at must not be before used_on"),
    ("usage_events", {"used_on": "2024-01-10 13:00"}, "used_on must be a date (YYYY-MM-DD)"),
    ("usage_events", {"duration_min": "32,5"}, "duration_min must be a number"),
    ("invoices", {"paid_on": None}, "paid_on must be given when status is paid"),
    ("invoices", {"status": "issued"}, "paid_on must be null unless status is paid or refunded"),
    ("invoices", {"due_on": "2023-01-01"}, "due_on must not be before issued_on"),
    ("support_tickets", {"csat": "6"}, "csat must be <= 5"),
    ("support_tickets", {"closed_at": None}, "closed_at must be given when status is closed"),
    ("support_tickets", {"closed_at": "2024-01-31 00:00:00"}, "closed_at must not be before opened_at"),
    ("support_tickets", {"known_at": "2024-02-02 09:00:00"}, "known_at must not be before closed_at"),
    ("support_tickets", {"priority": ""}, "priority must not be null"),
]


#: Every defect once, a table's defects in rows 1, 2, 3 ...
_ORDER = {table: [i for i, d in enumerate(DEFECTS) if d[0] == table] for table in ROWS}
_PROFILE = [(defect, row) for row, defect in enumerate(_ORDER["accounts"])]
_OTHERS = [(d, row) for table in ROWS if table != "accounts" for row, d in enumerate(_ORDER[table])]


@example(planted=_PROFILE, kind="csv")
@example(planted=_OTHERS, kind="csv")
@example(planted=_OTHERS, kind="parquet")
@hypothesis_settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    planted=st.lists(
        st.tuples(st.integers(0, len(DEFECTS) - 1), st.integers(0, 14)),
        max_size=12,
        unique_by=lambda p: (DEFECTS[p[0]][0], p[1] % ROWS[DEFECTS[p[0]][0]]),
    ),
    kind=st.sampled_from(["csv", "csv.gz", "parquet"]),
)
def test_planted_defects_end_in_quarantine_and_the_rest_lands(
    fresh_company: Callable[[], Company], write_files: Write, planted: list[tuple[int, int]], kind: str
) -> None:
    company, wanted, lost = fresh_company(), [], set()
    for defect, place in planted:
        table, change, rule = DEFECTS[defect]
        row = place % ROWS[table]
        if table == "accounts":
            lost.add(company[table][row]["account_id"])
        company[table][row] |= change
        wanted.append((table, row + 1, rule))
    for table, rows in company.items():  # what an account that did not land takes with it
        for number, row in enumerate(rows, start=1):
            if table != "accounts" and row["account_id"] in lost:
                wanted.append((table, number, "account_id must exist in accounts.account_id"))
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(var=Path(folder) / "var")
        delivery = write_files(Path(folder) / "in", company, kind)
        report = ingest(
            "churn", delivery, settings=settings, ingested_at=datetime(2024, 6, 1), quality_checks=False
        )
        found = [
            (row["table_name"], row["row_number"], rule)
            for row in quarantine(settings)
            for rule in json.loads(row["rules"])
        ]
        assert sorted(found) == sorted(wanted)
        bad = {(table, row) for table, row, _ in wanted}
        for table_report in report.tables:
            name = table_report.table
            table_bad = sum(table == name for table, _ in bad)
            assert table_report.landed == ROWS[name] - table_bad
            assert table_report.read == table_report.landed + table_report.quarantined
            if table_report.landed:
                assert lake_of(settings).read(TABLES[name].name).num_rows == table_report.landed


def test_a_line_that_does_not_split_costs_its_line_only(
    company: Company, write_files: Write, land: Land, settings: Settings, tmp_path: Path
) -> None:
    folder = write_files(tmp_path / "in", company)
    path = folder / "invoices.csv"
    lines = path.read_text().splitlines()
    lines[3] = "I-1-3,ACC-1,2024-03-06"
    lines[6] += ",surplus"
    lines[9] = lines[9].replace("150.5", "-3")
    path.write_text("\n".join(lines) + "\n")
    report = land(folder)
    assert counts(report, "invoices") == (15, 12, 0, 0, 3)
    found = {row["row_number"]: row["reasons"] for row in quarantine(settings)}
    assert found == {
        3: "the line must have 8 fields, got too few",
        6: "the line must have 8 fields, got too many",
        9: "amount_eur must be >= 0, got -3.0",
    }


def test_quarantine_shows_the_row_but_no_personal_data(
    company: Company, write_files: Write, land: Land, settings: Settings, tmp_path: Path
) -> None:
    company["accounts"][2]["employees"] = "-4"
    company["subscriptions"][0]["account_id"] = "ACC-404"
    land(write_files(tmp_path / "in", company))
    rows = quarantine(settings)
    text = json.dumps(rows, default=str)
    assert "ACC-" not in text
    assert "Company 3" not in text
    (bad,) = [row for row in rows if row["table_name"] == "accounts"]
    key = pseudonym("ACC-3", key=settings.load_pseudonym_key())
    assert (bad["account_key"], bad["source_file"], bad["row_number"]) == (key, "accounts.csv", 3)
    assert json.loads(bad["payload"])["employees"] == "-4"
    assert json.loads(bad["row_key"])["account_key"] == key


def test_an_offset_is_respected_and_lists_are_normalised(
    company: Company, write_files: Write, land: Land, settings: Settings, tmp_path: Path
) -> None:
    company["usage_events"][0] |= {
        "known_at": "2024-01-11T02:00:00+02:00",
        "features_used": " reports|api||api",
        "logins": "4.0",
    }
    land(write_files(tmp_path / "in", company))
    (row,) = [
        r
        for r in lake_of(settings).read("raw/churn_usage_events").to_pylist()
        if r["known_at"] == datetime(2024, 1, 11, 0)
    ]
    assert (row["features_used"], row["logins"]) == ("api|reports", 4)


# --------------------------------------------------------------------------- files that land nothing


def rename(folder: Path, company: Company) -> None:
    path = folder / "subscriptions.csv"
    path.write_text(path.read_text().replace("plan_tier", "plan_teir"))


def truncate(folder: Path, company: Company) -> None:
    (folder / "subscriptions.csv").unlink()
    write = pa.table({"term_id": ["x"] * 5000})
    pq.write_table(write, folder / "subscriptions.parquet")
    data = (folder / "subscriptions.parquet").read_bytes()
    (folder / "subscriptions.parquet").write_bytes(data[: len(data) // 2])


def cut_gzip(folder: Path, company: Company) -> None:
    import gzip

    text = (folder / "subscriptions.csv").read_text() + "x,y\n" * 50_000
    (folder / "subscriptions.csv").unlink()
    (folder / "subscriptions.csv.gz").write_bytes(gzip.compress(text.encode())[:-40])


def wrong_type(folder: Path, company: Company) -> None:
    rows = pa.Table.from_pylist(company["subscriptions"])
    flags = pa.array([True] * rows.num_rows)
    rows = rows.set_column(rows.schema.get_field_index("term_start"), "term_start", flags)
    (folder / "subscriptions.csv").unlink()
    pq.write_table(rows, folder / "subscriptions.parquet")


def semicolons(folder: Path, company: Company) -> None:
    path = folder / "subscriptions.csv"
    path.write_text(path.read_text().replace(",", ";"))


def twice(folder: Path, company: Company) -> None:
    pq.write_table(pa.Table.from_pylist(company["subscriptions"]), folder / "subscriptions.parquet")


def misspelt(folder: Path, company: Company) -> None:
    (folder / "subscriptions.csv").rename(folder / "subscription.csv")


def empty(folder: Path, company: Company) -> None:
    (folder / "subscriptions.csv").write_text("")


def repeated_header(folder: Path, company: Company) -> None:
    path = folder / "subscriptions.csv"
    path.write_text(path.read_text().replace("plan_tier", "seats", 1))


def orphaned(folder: Path, company: Company) -> None:
    (folder / "accounts.csv").unlink()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (rename, r"must have the columns .*missing \['plan_tier'\], found .*did you mean 'plan_teir'"),
        (truncate, r"subscriptions\.parquet: must be a readable Parquet file"),
        (cut_gzip, r"subscriptions\.csv\.gz: must be readable to its end"),
        (wrong_type, r"subscriptions\.parquet: column term_start must be readable as date, got bool"),
        (semicolons, r"subscriptions\.csv: must have the columns .*fields must be separated by commas"),
        (twice, r"subscriptions: must be delivered once"),
        (misspelt, r"subscription\.csv: its name must be one of .*did you mean 'subscriptions'"),
        (empty, r"subscriptions\.csv: must begin with a header line"),
        (repeated_header, r"subscriptions\.csv: column names must be unique, got \['seats'\]"),
        (orphaned, r"refers to accounts, which is neither delivered nor landed"),
    ],
)  # fmt: skip
def test_a_bad_file_is_named_and_nothing_lands(
    company: Company,
    write_files: Write,
    land: Land,
    settings: Settings,
    tmp_path: Path,
    spoil: Callable[[Path, Company], None],
    words: str,
) -> None:
    folder = write_files(tmp_path / "in", company)
    spoil(folder, company)
    with pytest.raises(DataContractError, match=words):
        land(folder)
    assert versions(settings) == {}


def test_no_files_at_all(land: Land, tmp_path: Path) -> None:
    with pytest.raises(DataContractError, match="must be a folder"):
        land(tmp_path / "nowhere")
    (tmp_path / "in").mkdir()
    with pytest.raises(DataContractError, match="must hold at least one of"):
        land(tmp_path / "in")


# ---------------------------------------------------------------------------- repeats and conflicts


def test_repeats_and_conflicts_within_a_file(
    company: Company, write_files: Write, land: Land, settings: Settings, tmp_path: Path
) -> None:
    first = company["subscriptions"][0]
    company["subscriptions"].insert(1, dict(first))
    company["subscriptions"] += [first | {"seats": "9", "mrr_eur": "1"}, dict(first)]
    ticket = company["support_tickets"][0]
    company["support_tickets"] += [ticket | {"known_at": "2024-02-09 00:00:00", "csat": "1"}]
    report = land(write_files(tmp_path / "in", company))
    assert counts(report, "subscriptions") == (18, 15, 0, 2, 1)
    assert counts(report, "support_tickets") == (6, 6, 0, 0, 0)  # another version is not a conflict
    (bad,) = quarantine(settings)
    assert bad["row_number"] == 17
    assert bad["reasons"] == f"{CONFLICT}, conflicts with row 1 of the file in seats, mrr_eur"


def test_the_same_rows_in_another_file_are_already_landed_and_changed_ones_conflict(
    company: Company, write_files: Write, land: Land, settings: Settings, tmp_path: Path
) -> None:
    land(write_files(tmp_path / "first", company))
    before = state(settings)
    company["usage_events"][4]["duration_min"] = "99"
    company["usage_events"].append(
        company["usage_events"][0] | {"used_on": "2024-03-30", "known_at": "2024-04-01"}
    )
    report = land(write_files(tmp_path / "second", company, "parquet"))
    assert counts(report, "usage_events") == (16, 1, 14, 0, 1)
    assert counts(report, "accounts") == (5, 0, 5, 0, 0)
    (bad,) = quarantine(settings)
    assert bad["reasons"] == f"{CONFLICT}, conflicts with the landed row in duration_min"
    after = state(settings)
    assert {name for name in after if after[name] != before[name]} == {"usage_events"}


def test_reingesting_the_same_files_writes_nothing(
    company: Company, write_files: Write, land: Land, settings: Settings, tmp_path: Path
) -> None:
    company["usage_events"][4]["logins"] = "0"
    company["invoices"][2]["account_id"] = "ACC-404"  # may be cured by a later delivery: read again
    folder = write_files(tmp_path / "in", company)
    first = land(folder)
    before = versions(settings)
    again = land(folder, ingested_at=datetime(2024, 7, 1))
    assert versions(settings) == before
    assert [t.rules for t in again.tables] == [t.rules for t in first.tables]
    assert [t.quarantined for t in again.tables] == [t.quarantined for t in first.tables]
    assert [t.already_landed for t in again.tables] == [t.landed for t in first.tables]
    assert [t.files_known for t in again.tables] == [1, 1, 1, 0, 1]


def test_a_corrected_row_lands(
    company: Company, write_files: Write, land: Land, settings: Settings, tmp_path: Path
) -> None:
    company["invoices"][3]["status"] = "payed"
    land(write_files(tmp_path / "in", company))
    company["invoices"][3]["status"] = "paid"
    fixed = write_files(tmp_path / "fixed", {"invoices": [company["invoices"][3]]})
    assert counts(land(fixed), "invoices") == (1, 1, 0, 0, 0)
    assert lake_of(settings).read("raw/churn_invoices").num_rows == 15


def test_rows_of_an_unknown_account_land_once_the_account_has(
    company: Company, write_files: Write, land: Land, settings: Settings, tmp_path: Path
) -> None:
    late = company["accounts"].pop()
    folder = write_files(tmp_path / "in", company)
    assert counts(land(folder), "subscriptions") == (15, 12, 0, 0, 3)
    land(write_files(tmp_path / "late", {"accounts": [late]}))
    before = len(quarantine(settings))
    assert counts(land(folder), "subscriptions") == (15, 3, 12, 0, 0)
    assert len(quarantine(settings)) == before


# ----------------------------------------------------------------------------------- crashes, guards


class DyingLake(Lake):
    """A lake whose process dies (as far as the caller can see) at the n-th write."""

    def __init__(self, root: str, survives: int) -> None:
        super().__init__(root)
        self.survives = survives

    def append(self, *args: Any, **options: Any) -> Commit:
        if self.survives == 0:
            raise KeyboardInterrupt
        self.survives -= 1
        return super().append(*args, **options)


@pytest.mark.parametrize("survives", [0, 1, 2, 4, 7])
def test_a_crash_between_tables_is_resumed_by_the_same_command(
    company: Company, write_files: Write, land: Land, settings: Settings, tmp_path: Path, survives: int
) -> None:
    company["usage_events"][4]["logins"] = "0"
    folder = write_files(tmp_path / "in", company)
    other = Settings(var=tmp_path / "unbroken")
    ingest("churn", folder, settings=other, ingested_at=datetime(2024, 6, 1, 12), quality_checks=False)
    with pytest.raises(KeyboardInterrupt):  # source, quarantine, 5 tables, ledger: 8 writes
        land(folder, lake=DyingLake(settings.lake_uri, survives))
    land(folder)
    assert state(settings) == state(other)
    assert len(quarantine(settings)) == 1
    before = versions(settings)
    land(folder)
    assert versions(settings) == before
    assert not list((settings.var / "runs").iterdir())


def test_a_lake_belongs_to_one_source(
    company: Company, write_files: Write, land: Land, settings: Settings, tmp_path: Path
) -> None:
    folder = write_files(tmp_path / "in", company)
    land(folder)
    before = versions(settings)
    with pytest.raises(
        ConfigError, match=r"holds churn data of source 'native', got 'ravenstack'.*MILLRACE_LAKE"
    ):
        land(folder, source="ravenstack")
    assert versions(settings) == before
    with pytest.raises(ConfigError, match=r"churn must be one of native, ravenstack, got 'salesforce'"):
        land(folder, source="salesforce")


def test_another_pseudonym_key_is_refused(
    company: Company, write_files: Write, land: Land, settings: Settings, tmp_path: Path
) -> None:
    land(write_files(tmp_path / "in", company))
    changed = Settings(var=settings.var, pseudonym_key="another key")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="a different pseudonym key"):
        land(write_files(tmp_path / "in2", company, "parquet"), settings=changed)


def test_two_ingests_at_once_are_refused(
    company: Company, write_files: Write, land: Land, settings: Settings, tmp_path: Path
) -> None:
    path = settings.var / "locks" / "ingest-churn.lock"
    path.parent.mkdir(parents=True)
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import fcntl, sys; f = open({str(path)!r}, 'w'); fcntl.flock(f, fcntl.LOCK_EX);"
            "print('held', flush=True); sys.stdin.read()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(ConfigError, match="another ingest of churn is running"):
            land(write_files(tmp_path / "in", company))
        holder.communicate(b"")
    land(write_files(tmp_path / "in", company))


def test_the_ledger_of_ingests_accounts_for_every_row(
    company: Company, write_files: Write, land: Land, settings: Settings, tmp_path: Path
) -> None:
    company["subscriptions"].append(dict(company["subscriptions"][0]))
    company["usage_events"][0]["logins"] = "0"
    company["usage_events"][1]["account_id"] = "ACC-404"
    land(write_files(tmp_path / "in", company))
    rows = {row["table_name"]: row for row in lake_of(settings).read(INGESTS).to_pylist()}
    assert set(rows) == set(ROWS)
    for row in rows.values():
        parts = row["landed"] + row["already_landed"] + row["duplicates"] + row["quarantined"]
        assert row["rows_read"] == parts
    assert rows["subscriptions"]["duplicates"] == 1
    assert (rows["usage_events"]["quarantined"], rows["usage_events"]["unresolved"]) == (2, 1)


def test_rows_that_do_not_add_up_stop_the_ingest(
    company: Company,
    write_files: Write,
    land: Land,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    company["usage_events"].append(dict(company["usage_events"][0]))
    decide = fates.decide

    def forgetful(con: Any, *args: Any, **options: Any) -> None:
        decide(con, *args, **options)
        con.execute("delete from fates")
        con.execute("delete from checked where row_number = 16")  # neither good nor bad: lost

    monkeypatch.setattr(fates, "decide", forgetful)
    with pytest.raises(
        DataContractError, match=r"usage_events\.csv: rows read must equal .*got 16 and 15 \+ 0"
    ):
        land(write_files(tmp_path / "in", company))
    assert versions(settings) == {}


#: What the simulator plants, by the rules that must find it.
PLANTED = {
    "employees_below_minimum": {"employees must be >= 1"},
    "missing_signed_up_on": {"signed_up_on must not be null"},
    "plan_tier_not_allowed": {"plan_tier must be one of starter, growth, business"},
    "seats_below_minimum": {"seats must be >= 1"},
    "missing_account_id": {"account_id must not be null"},
    "unknown_account": {"account_id must exist in accounts.account_id"},
    # The changed column of a conflicting trial may break another rule before it meets its twin.
    "conflicting_duplicate": {CONFLICT, "mrr_eur must be 0 for a trial"},
    "status_not_allowed": {"status must be one of issued, paid, failed, disputed, refunded, written_off"},
    "negative_amount": {"amount_eur must be >= 0"},
    "csat_out_of_range": {"csat must be <= 5", "csat must be >= 1"},
    "kind_not_allowed": {"kind must be one of bug, outage, billing, how_to, feature_request, other"},
    "negative_duration": {"duration_min must be >= 0"},
    "logins_below_minimum": {"logins must be >= 1"},
}


def test_the_dirt_that_the_simulator_planted_is_found_exactly(
    land: Land, settings: Settings, tmp_path: Path
) -> None:
    generate(60, 5, tmp_path / "data")
    planted = json.loads((tmp_path / "data" / "truth" / "planted_dirt.json").read_text())
    report = land(tmp_path / "data", ingested_at=datetime(2026, 1, 5, tzinfo=UTC).replace(tzinfo=None))
    assert sum(sum(defects.values()) for defects in planted.values()) > 10
    by_table = {t.table: t for t in report.tables}
    for table, defects in planted.items():
        assert by_table[table].quarantined == sum(defects.values())
        for defect, rows in defects.items():
            found = by_table[table].rules
            assert sum(found.get(rule, 0) for rule in PLANTED[defect]) == rows, (table, defect, found)
