"""Whatever table or layout is added, somebody who is forgotten leaves it too; a table that is not covered fails here."""

from __future__ import annotations

import pyarrow as pa
import pytest

from features.schemas import Column, DType, Table
from pipelines.discovery import every, find
from pipelines.io.lake import Lake
from pipelines.lab.reference.tables import delivered_layouts, lake_tables
from pipelines.privacy import sinks
from pipelines.privacy.person import Person, natural_columns, pseudonym_columns, redact, references
from pipelines.privacy.rows import PUBLISHED_IDS, TEXTS, rows_of

TABLES = [table for _, tables in lake_tables() for table in tables]
PERSON = Person("A-1", "0123456789abcdef01234567", {"repurchase_orders.order_id": frozenset({"O-1"})})


def test_the_walk_sees_many_tables() -> None:
    assert len(TABLES) > 40


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_table_about_people_has_a_column_by_which_they_are_found(table: Table) -> None:
    """A personal column, or a name that tells of customers, needs a pseudonym beside it, in each row."""
    found = pseudonym_columns() & set(table.column_names)
    telling = [
        c.name for c in table.columns if c.personal or c.name in ("account_id", "customer_id", "account_name")
    ]
    assert not telling or found, (
        f"{table.name}: {telling} lead to a person whom `millrace forget` would not find"
    )
    keys = [name for name in table.key if name.endswith("_key")]
    assert set(keys) <= pseudonym_columns(), f"{table.name}: {keys} must be known as pseudonyms"
    assert "external_id" not in table.column_names or table.name in PUBLISHED_IDS


@pytest.mark.parametrize("layout", delivered_layouts(), ids=lambda layout: layout.table.name)
def test_every_delivered_file_about_people_is_recognised(layout: object) -> None:
    table = layout.table
    personal = [column.name for column in table.columns if column.personal]
    assert not personal or layout.subject in personal, (
        f"{table.name}: {personal} without a subject to refuse by"
    )


def test_rows_that_lead_to_people_only_by_reference_are_known() -> None:
    """A raw table is about a person, or leads to one, or has no column that any of these are known by."""
    covered = {each.table.name for each in references()}
    assert "raw/repurchase_order_lines" in covered
    for usecase in every():
        about = [layout for layout in usecase.layouts if layout.subject is not None]
        telling = {layout.subject for layout in about}
        for layout in usecase.layouts:
            name = usecase.raw(layout.table.name).name
            if layout.subject is None and name not in covered:
                assert not telling & set(layout.table.column_names), f"{name} would keep who was forgotten"


def test_a_table_nobody_declared_is_found_by_its_columns(tmp_path: object) -> None:
    lake = Lake(str(tmp_path))
    column = Column("customer_key", DType.STRING, "Pseudonym.")
    new = Table("predictions/of_next_year", "New. One row per customer.", (column,), key=("customer_key",))
    lake.append(new, pa.table({"customer_key": [PERSON.pseudonym, "other"]}, schema=new.arrow_schema))
    assert [(rows.table, rows.values) for rows in rows_of(lake, PERSON)] == [(new.name, (PERSON.pseudonym,))]


def test_every_system_that_is_published_to_is_looked_at() -> None:
    assert {"Churn_Score__c", "Next_Order__c"} <= set(sinks.salesforce_objects())
    assert set(sinks.salesforce_objects().values()) == {"External_Id__c"}
    assert {"demand", "repurchase"} <= set(sinks.dynamodb_namespaces())
    published = {target.ledger_object.removeprefix("*/") for usecase in every() for target in usecase.targets}
    assert published == {*sinks.salesforce_objects(), *sinks.dynamodb_namespaces()}


def test_texts_of_operations_are_searched() -> None:
    quoting = {"record_json", "message", "words", "checks_json"}
    found = {table.name for table in TABLES if quoting & set(table.column_names)}
    found = {name for name in found if name.startswith("ops/")}
    assert found <= {table.name for table in TEXTS}


def test_files_of_adapted_sources_are_searched_by_their_own_names() -> None:
    assert {"account_id"} <= natural_columns(find("churn"))
    assert {"customer_id"} <= natural_columns(find("repurchase"))
    assert natural_columns(find("demand")) == frozenset()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A-1 failed, A-10 and XA-1 did not", "[erased] failed, A-10 and XA-1 did not"),
        ('{"n": 3, "why": "no A-1"}', '{"n": 3, "why": "no [erased]"}'),
        (
            '{"sample": [{"id": "A-1", "name": "Anna"}, {"id": "A-2"}]}',
            '{"sample": ["[erased]", {"id": "A-2"}]}',
        ),
        ("nothing", "nothing"),
    ],
)
def test_a_text_loses_the_person_and_nothing_else(text: str, expected: str) -> None:
    assert redact(text, PERSON) == expected


def test_a_short_number_is_no_word_to_search_texts_for() -> None:
    """Customer 17850 is also the number of rows of something."""
    person = Person("17850", PERSON.pseudonym)
    assert redact(f"17850 rows, {PERSON.pseudonym}", person) == "17850 rows, [erased]"
