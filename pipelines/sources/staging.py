"""First half of an ingest: validate every delivered row and set the good ones aside.

Nothing here writes to the lake. Files are processed one after the other in a scratch DuckDB with
bounded memory that spills to disk, so a delivery of any size needs the memory of its largest file
at most, and usually less.
"""

# SQL is put together from declared names, quoted; values are parameters or quoted literals.

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from features.pseudonyms import pseudonymise
from features.schemas import Table
from features.sql import listed, literal, quoted
from pipelines.errors import DataContractError
from pipelines.io.lake import Lake
from pipelines.io.tombstones import SUBJECT, Graveyard
from pipelines.sources import fates
from pipelines.sources.delivery import DeliveredFile
from pipelines.sources.landed import QUARANTINE, SUBJECT_KEY, landed_table
from pipelines.sources.layout import RawLayout
from pipelines.sources.referred import Referred
from pipelines.sources.validation import check, curable, explain, load

#: Scratch memory; with Arrow copies and Python a process stays below 3 GB.
_MEMORY = "1500MB"
#: Rows of one staged file, which lands as one commit held in memory.
_ROWS_PER_COMMIT = 2_000_000


#: What a delivered row may become; every row becomes one of them.
FATES = ("landed", "already_landed", "duplicates", "quarantined", "forgotten")


@dataclass
class FileOutcome:
    """Fate of the rows of one file; ``staged`` are the Parquet files that wait to be landed."""

    file: DeliveredFile
    read: int = 0
    landed: int = 0
    already_landed: int = 0
    duplicates: int = 0
    quarantined: int = 0
    #: Rows of people who were forgotten: refused, and kept nowhere.
    forgotten: int = 0
    unresolved: int = 0
    new_quarantined: int = 0
    skipped: bool = False
    rules: dict[str, int] = field(default_factory=dict)
    staged: list[Path] = field(default_factory=list)

    def __str__(self) -> str:
        """Rows by fate, without the fates that no row had."""
        if self.skipped:
            return "landed before, skipped"
        counts = {name.replace("_", " "): getattr(self, name) for name in (*FATES, "unresolved")}
        return f"{self.read:,} rows read" + "".join(
            f", {count:,} {name}" for name, count in counts.items() if count
        )

    def balance(self) -> None:
        """Raise ``DataContractError``, for a defect of the ingest itself, unless every row that was read has one fate."""
        counts = {name.replace("_", " "): getattr(self, name) for name in FATES}
        if self.read != sum(counts.values()):
            raise DataContractError(
                f"{self.file.name}: rows read must equal {' + '.join(counts)}, got {self.read} and"
                f" {' + '.join(map(str, counts.values()))}; nothing was landed"
            )


class Staging:
    """Scratch space of one ingest: a DuckDB connection and a folder of staged Parquet files.

    The ``folder`` is empty and the caller removes it. The lake is only read, for rows and accounts that are
    landed already. ``key`` is that of the pseudonyms.
    """

    def __init__(
        self, folder: Path, lake: Lake, *, usecase: str, ingest_id: str, key: bytes, ingested_at: datetime
    ) -> None:
        self.folder, self.lake, self.usecase = folder, lake, usecase
        self.ingest_id, self.key, self.ingested_at = ingest_id, key, ingested_at
        self.con = duckdb.connect(config={"memory_limit": _MEMORY, "temp_directory": str(folder / "spill")})
        self.con.execute("set TimeZone = 'UTC'")
        self.con.execute("create temp table pseudonyms (natural_id varchar, pseudonym varchar)")
        columns = ", ".join(f"{quoted(c.name)} {c.dtype.sql}" for c in QUARANTINE.columns)
        self.con.execute(f"create temp table quarantine ({columns})")
        self._staged: dict[str, list[str]] = {}
        self._referred = Referred(self.con)
        self._graveyard, self._refused = Graveyard(lake, key), 0

    def close(self) -> None:
        """Release the connection."""
        self.con.close()

    def know(self, arriving: Iterable[RawLayout], layouts: Iterable[RawLayout]) -> None:
        """Load what arriving rows may refer to from tables that were landed earlier."""
        self._referred.expect(arriving, layouts)
        for table in self._referred.tables:
            name = f"raw/{self.usecase}_{table}"
            if self.lake.exists(name):
                self.con.register("landed_before", self.lake.dataset(name))
                self._referred.add(table, "landed_before")
                self.con.unregister("landed_before")

    def stage(self, file: DeliveredFile) -> FileOutcome:
        """Validate one file and set its new rows aside.

        Raises ``DataContractError`` if the file cannot be read to its end, or the rows do not add up.
        """
        self.examine(file)
        table = landed_table(self.usecase, file.layout)
        fates.prepare(self.con, file.layout, table)
        landed = self.lake.dataset(table.name) if self.lake.exists(table.name) else None
        fates.decide(self.con, table, landed=landed, staged=self._staged.get(table.name, []))
        outcome = self._count(file)
        self._quarantine(file)
        self._set_aside(file, table, outcome)
        outcome.balance()
        return outcome

    def examine(self, file: DeliveredFile) -> None:
        """Make the tables ``checked`` and ``verdicts`` of one file."""
        load(self.con, file)
        self._refused = self._refuse_forgotten(file.layout)
        self._pseudonymise(file.layout)
        explain(self.con, check(self.con, file.layout))

    def settle(self, file: DeliveredFile) -> FileOutcome:
        """Quarantine the rows with a verdict of a file that an adapter reads; the adapter uses the rest."""
        self.con.execute(
            "create or replace temp table fates (row_number bigint, fate varchar, reason varchar)"
        )
        outcome = self._count(file)
        outcome.landed = outcome.read - outcome.quarantined - outcome.forgotten
        self._quarantine(file)
        outcome.balance()
        return outcome

    def admit(self, file: DeliveredFile, into: str) -> FileOutcome:
        """Examine and settle a file that an adapter reads, and add its good rows to the scratch table ``into``."""
        self.examine(file)
        outcome = self.settle(file)
        good = "select * exclude (is_bad, row_number) from checked where not is_bad"
        self.con.execute(f"create temp table if not exists {quoted(into)} as {good} with no data")
        self.con.execute(f"insert into {quoted(into)} {good}")
        return outcome

    def make_known(self, table: str, column: str, rows: str) -> None:
        """Let later files refer to the values of ``column`` in the scratch relation ``rows``."""
        self._referred.add_values(table, column, rows)

    def staged(self, table: Table) -> duckdb.DuckDBPyRelation | None:
        """Rows of a table that wait to be landed; None if there are none."""
        paths = self._staged.get(table.name)
        if not paths:
            return None
        return self.con.read_parquet(paths).project(listed(table.column_names))

    # ---------------------------------------------------------------- inside

    def _refuse_forgotten(self, layout: RawLayout) -> int:
        """Take the rows that name a forgotten person, or refer to rows that did, out of ``delivered``; returns how many.

        They are not bad rows: the quarantine would keep their content.
        """
        kinds = [(layout.subject, SUBJECT)] if layout.subject is not None else []
        kinds += [(column, f"{self.usecase}_{table}.{other}") for column, table, other in layout.references]
        refused = 0
        for column, kind in kinds:
            if not self._graveyard.has(kind):
                continue
            text = f"{quoted(column)}::varchar"
            ids = self.con.execute(
                f"select distinct {text} from delivered where {quoted(column)} is not null"
            ).fetchall()
            gone = self._graveyard.among(kind, (each for (each,) in ids))
            if gone:
                self.con.register("gone", pa.table({"id": pa.array(gone, pa.string())}))
                ((count,),) = self.con.execute(
                    f"delete from delivered where {text} in (select id from gone)"
                ).fetchall()
                self.con.unregister("gone")
                refused += int(count)
        return refused

    def _pseudonymise(self, layout: RawLayout) -> None:
        """Hash the subjects that no earlier file of this ingest named."""
        if layout.subject is None:
            return
        subject = quoted(layout.subject)
        new: pa.Table = self.con.sql(
            f"select distinct {subject}::varchar as natural_id from delivered where {subject} is not null"
            f" and {subject}::varchar <> '' and {subject}::varchar not in (select natural_id from pseudonyms)"
        ).to_arrow_table()
        names = new.column("natural_id")
        hashed = pa.table({"natural_id": names, "pseudonym": pseudonymise(names, key=self.key)})
        self.con.register("hashed", hashed)
        self.con.execute("insert into pseudonyms from hashed")
        self.con.unregister("hashed")

    def _count(self, file: DeliveredFile) -> FileOutcome:
        """Count rows and reasons; rows that fail only a reference may become valid later."""
        read, bad, unresolved = self.con.execute(
            f"select (select count(*) from delivered) + (select count(*) from unparsed) + {self._refused},"
            " (select count(*) from verdicts) + (select count(*) from unparsed)"
            " + (select count(*) from fates where fate = 'conflict'),"
            " (select count(*) from verdicts where list_has_all($references, rules))",
            {"references": curable(file.layout)},
        ).fetchall()[0]
        by_fate = dict(self.con.execute("select fate, count(*) from fates group by fate").fetchall())
        rules = self.con.execute(
            "select rule, count(*) from (select unnest(rules) as rule from verdicts union all"
            f" select {literal(fates.CONFLICT)} from fates where fate = 'conflict' union all"
            f" select {literal(_UNPARSED)} from unparsed) group by rule order by rule"
        ).fetchall()
        return FileOutcome(
            file,
            read=read,
            already_landed=by_fate.get("already_landed", 0),
            duplicates=by_fate.get("duplicate", 0),
            quarantined=bad,
            forgotten=self._refused,
            unresolved=unresolved,
            rules=dict(rules),
        )

    def _quarantine(self, file: DeliveredFile) -> None:
        """Add the bad rows to the scratch table ``quarantine``."""
        layout = file.layout
        shown = [c.name for c in layout.table.columns if not c.personal and c.name != layout.subject]
        pseudonyms, subject = "", "null"
        if layout.subject is not None:
            natural_id = f"d.{quoted(layout.subject)}::varchar"
            pseudonyms, subject = f" left join pseudonyms p on p.natural_id = {natural_id}", "p.pseudonym"
            shown.insert(0, SUBJECT_KEY)
        payload = ", ".join(
            f"{literal(n)}: " + ("p.pseudonym" if n == SUBJECT_KEY else f"d.{quoted(n)}") for n in shown
        )
        key = ", ".join(
            f"{literal(SUBJECT_KEY)}: p.pseudonym" if n == layout.subject else f"{literal(n)}: d.{quoted(n)}"
            for n in layout.table.key
        )
        fixed = (
            "$ingest_id, $usecase, $table, $file, $sha256, v.row_number, {subject}, {key},"
            " to_json(v.rules)::varchar, array_to_string(v.reasons, '; '), {payload}, $ingested_at"
        )
        values = {
            "ingest_id": self.ingest_id,
            "usecase": self.usecase,
            "table": layout.table.name,
            "file": file.name,
            "sha256": file.sha256,
            "ingested_at": self.ingested_at,
        }
        row = fixed.format(
            subject=subject, key=f"to_json({{{key}}})::varchar", payload=f"to_json({{{payload}}})::varchar"
        )
        self.con.execute(
            f"insert into quarantine select {row} from (from verdicts union all select row_number,"
            f" [{literal(fates.CONFLICT)}], [reason] from fates where fate = 'conflict') v"
            f" join delivered d using (row_number){pseudonyms}",
            values,
        )
        line = fixed.format(subject="null", key="'{}'", payload="'{}'")
        self.con.execute(
            f"insert into quarantine select {line} from"
            f" (select row_number, [{literal(_UNPARSED)}] as rules, [reason] as reasons from unparsed) v",
            values,
        )

    def _set_aside(self, file: DeliveredFile, table: Table, outcome: FileOutcome) -> None:
        """Write the rows that are new to Parquet, in parts that land as one commit each."""
        con, ingested_at = self.con, f"timestamp {literal(self.ingested_at.isoformat(sep=' '))}"
        con.execute(
            "create or replace temp view fresh as select * from good anti join fates using (row_number)"
        )
        outcome.landed, last = con.execute("select count(*), max(row_number) from fresh").fetchall()[0]
        folder = self.folder / file.layout.table.name
        folder.mkdir(exist_ok=True)
        known = self._staged.setdefault(table.name, [])
        # Parts by position and not by count: cutting by count would sort the file once per part.
        for start in range(0, last or 0, _ROWS_PER_COMMIT):
            path = folder / f"{len(known):06d}.parquet"
            part = f"row_number > {start} and row_number <= {start + _ROWS_PER_COMMIT}"
            con.execute(
                f"copy (select * exclude (row_number), {ingested_at} as ingested_at from fresh where {part})"
                f" to {literal(str(path))} (format parquet, compression lz4_raw)"
            )
            known.append(str(path))
            outcome.staged.append(path)
        self._referred.add(file.layout.table.name, "fresh")


_UNPARSED = "the line must split into the fields of the header"
