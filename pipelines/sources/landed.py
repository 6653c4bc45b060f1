"""Tables that landing writes: the raw tables of a use case and the ledgers of ingestion."""

from __future__ import annotations

from features.schemas import Column, DType, Table
from pipelines.sources.layout import RawLayout

#: Column of the pseudonym in the quarantine, whoever the use case is about.
SUBJECT_KEY = "account_key"

INGESTED_AT = Column("ingested_at", DType.TIMESTAMP, "When the row was landed (UTC).", unit="UTC")

_FILE = (
    Column("ingest_id", DType.STRING, "Identity of the delivery: a hash of source and file contents."),
    Column("usecase", DType.STRING, "Use case the delivery is for."),
    Column("table_name", DType.STRING, "Raw table the file belongs to."),
    Column("source_file", DType.STRING, "Name of the file within the delivered folder."),
    Column("source_sha256", DType.STRING, "SHA-256 of the file's bytes."),
)


def _count(name: str, description: str) -> Column:
    return Column(name, DType.INTEGER, description, unit="rows", minimum=0)


INGESTS = Table(
    name="ops/ingests",
    description=(
        "What became of every delivered file; `rows_read` is the sum of the five fates. "
        "One row per file and ingest that changed something."
    ),
    columns=(
        *_FILE,
        Column("source", DType.STRING, "Kind of source: `native` or the name of an adapter."),
        _count("rows_read", "Rows in the file."),
        _count("landed", "Rows added to the raw table."),
        _count("already_landed", "Rows that the lake held before."),
        _count("duplicates", "Rows repeated within the delivery."),
        _count("quarantined", "Rows that break the contract."),
        _count("forgotten", "Rows of people who were forgotten, refused; see `ops/erasures`."),
        _count(
            "unresolved",
            "Quarantined rows that refer to something not landed yet: a later delivery may cure them.",
        ),
        INGESTED_AT,
    ),
    key=("ingest_id", "table_name", "source_file", "ingested_at"),
)

QUARANTINE = Table(
    name="ops/quarantine",
    description="Delivered rows that break the contract, and why. One row per row of a file and verdict.",
    columns=(
        *_FILE,
        Column("row_number", DType.INTEGER, "Position in the file, 1 = first row of data.", minimum=1),
        Column(
            SUBJECT_KEY,
            DType.STRING,
            "Pseudonym of the account or customer; null if the row names none.",
            nullable=True,
        ),
        Column("row_key", DType.STRING, "Key of the row as JSON, the account by its pseudonym."),
        Column("rules", DType.STRING, "Broken rules as a JSON list, without values: what to count by."),
        Column("reasons", DType.STRING, "The same in words with the offending values, joined by `; `."),
        Column(
            "payload",
            DType.STRING,
            "The row as JSON without personal columns; file and row number lead to the original.",
        ),
        INGESTED_AT,
    ),
    key=("table_name", "source_file", "source_sha256", "row_number", "rules"),
)

SOURCES = Table(
    name="ops/sources",
    description="The source that a use case's raw tables belong to. One row per use case.",
    columns=(
        Column("usecase", DType.STRING, "Use case."),
        Column("source", DType.STRING, "Kind of source: `native` or the name of an adapter."),
        INGESTED_AT,
    ),
    key=("usecase",),
)


def landed_table(usecase: str, layout: RawLayout) -> Table:
    """Raw table that a layout lands in.

    The pseudonym stands in the place of the natural id (before it where the table keeps both),
    ``ingested_at`` comes last, and large tables get the month of their business time to be
    partitioned by.
    """
    columns: list[Column] = []
    for column in layout.table.columns:
        if column.name == layout.subject:
            who = layout.subject_key.removesuffix("_key")
            columns.append(Column(layout.subject_key, DType.STRING, f"Pseudonym of the {who}."))
            if layout.keeps_subject:
                columns.append(column)
        else:
            columns.append(column)
    months: tuple[str, ...] = ()
    if layout.month_of is not None:
        months = (f"{layout.month_of.rsplit('_', 1)[0]}_month",)  # `used_on` gives `used_month`
        columns.append(Column(months[0], DType.STRING, f"Month of `{layout.month_of}`, YYYY-MM."))
    return Table(
        name=f"raw/{usecase}_{layout.table.name}",
        description=layout.table.description,
        columns=(*columns, INGESTED_AT),
        key=tuple(layout.subject_key if name == layout.subject else name for name in layout.table.key),
        partition_by=months,
    )
