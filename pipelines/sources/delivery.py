"""A delivery: the files in a folder, matched with the declared raw tables.

Everything that can be wrong with a *file* (unknown name, unreadable, a column missing, a column of
a type that cannot hold the declared values) is found here, before a single row is looked at.
"""

from __future__ import annotations

import csv
import difflib
import gzip
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pa_parquet

from features.schemas import Column, DType
from pipelines.errors import DataContractError
from pipelines.sources.layout import RawLayout

#: Recognised file names end in one of these.
SUFFIXES = (".csv", ".csv.gz", ".parquet")

#: Arrow types of a Parquet column that can be read as each logical type. Text is read as any.
_READABLE = {
    DType.STRING: (),
    DType.INTEGER: (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal),
    DType.NUMBER: (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal),
    DType.BOOLEAN: (pa.types.is_boolean,),
    DType.DATE: (pa.types.is_date, pa.types.is_timestamp),
    DType.TIMESTAMP: (pa.types.is_date, pa.types.is_timestamp),
}


@dataclass(frozen=True)
class DeliveredFile:
    """One readable file whose columns fit the layout."""

    #: Table it belongs to, where it is, and how it is called relative to the delivery.
    layout: RawLayout
    path: Path
    name: str
    #: Of its bytes: the identity by which a file is recognised when it is delivered again.
    sha256: str
    #: Names of all its columns in file order.
    header: tuple[str, ...]
    #: CSV (comma, double quotes, UTF-8, header line) as opposed to Parquet.
    is_csv: bool

    @property
    def undeclared(self) -> list[str]:
        """Columns of the file that the layout does not declare: they are not read."""
        return [name for name in self.header if name not in self.layout.table.column_names]


def discover(
    folder: Path, layouts: Sequence[RawLayout], *, ignored: Sequence[str] = ()
) -> list[DeliveredFile]:
    """Find and check the files of a delivery, in landing order.

    A table is one file ``<table>.csv``, ``.csv.gz`` or ``.parquet``, or a folder ``<table>/`` of such files.
    A table may be absent: a delivery can bring corrections of one table only. Files named in ``ignored`` are
    not read. Raises ``DataContractError`` if there is nothing to read, an undeclared file, a table delivered twice, or
    a file that cannot be read as its table. All problems are listed, not only the first.
    """
    if not folder.is_dir():
        raise DataContractError(f"--from must be a folder with the delivered files, got {folder}")
    tables = [layout.table.name for layout in layouts]
    problems = _strangers(folder, tables, ignored)
    files: list[DeliveredFile] = []
    for layout in layouts:
        paths = _paths(folder, layout.table.name, problems)
        for path in paths:
            try:
                files.append(_inspect(path, folder, layout))
            except DataContractError as error:
                problems.append(str(error))
    if problems:
        listed = "\n  - ".join(problems)
        raise DataContractError(f"nothing was landed: {len(problems)} problem(s) in {folder}\n  - {listed}")
    if not files:
        raise DataContractError(
            f"{folder} must hold at least one of {tables} as .csv, .csv.gz, .parquet or a folder of such"
            f" files, found {sorted(path.name for path in folder.iterdir())[:10]}"
        )
    return files


def _stem(path: Path) -> str | None:
    return next((path.name.removesuffix(s) for s in reversed(SUFFIXES) if path.name.endswith(s)), None)


def _strangers(folder: Path, tables: Sequence[str], ignored: Sequence[str]) -> list[str]:
    """Report data files that belong to no table: most likely a misspelt name, not one to skip."""
    problems = []
    for path in sorted(folder.iterdir()):
        name = path.name if path.is_dir() else _stem(path)
        if name is None or name in tables or name in ignored:
            continue
        guess = difflib.get_close_matches(name, tables, n=1, cutoff=0.75)
        if path.is_file() or guess:
            hint = f"; did you mean {guess[0]!r}?" if guess else ""
            problems.append(f"{path.name}: its name must be one of {list(tables)}, got {name!r}{hint}")
    return problems


def _paths(folder: Path, table: str, problems: list[str]) -> list[Path]:
    found = [folder / f"{table}{suffix}" for suffix in SUFFIXES if (folder / f"{table}{suffix}").is_file()]
    nested = folder / table
    if nested.is_dir():
        inside = sorted(path for path in nested.rglob("*") if path.is_file())
        files = [path for path in inside if _stem(path) is not None]
        if not files:
            problems.append(f"{table}/: must hold .csv, .csv.gz or .parquet files, found none")
        if found and files:
            problems.append(f"{table}: must be delivered once, found {found[0].name} and the folder {table}/")
        return found + files
    if len(found) > 1:
        problems.append(f"{table}: must be delivered once, found {[path.name for path in found]}")
    return found


def _inspect(path: Path, folder: Path, layout: RawLayout) -> DeliveredFile:
    name = str(path.relative_to(folder))
    is_csv = not name.endswith(".parquet")
    header = _csv_header(path, name) if is_csv else []
    if not is_csv:
        try:
            schema = pa_parquet.read_schema(path)
        except (pa.ArrowException, OSError) as error:
            raise DataContractError(f"{name}: must be a readable Parquet file, got {error}") from error
        header = schema.names
    _check_header(name, header, [c for c in layout.table.columns if c.name not in layout.optional])
    if not is_csv:
        wrong = [
            f"{name}: column {c.name} must be readable as {c.dtype}, got {schema.field(c.name).type}"
            for c in layout.table.columns
            if c.name in header and not _readable(schema.field(c.name).type, c.dtype)
        ]
        if wrong:
            raise DataContractError("; ".join(wrong))
    with path.open("rb") as handle:
        sha256 = hashlib.file_digest(handle, "sha256").hexdigest()
    return DeliveredFile(layout, path, name, sha256, tuple(header), is_csv)


def _csv_header(path: Path, name: str) -> list[str]:
    opener = gzip.open if name.endswith(".gz") else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="") as handle:
            header = next(csv.reader(handle), [])
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise DataContractError(f"{name}: must be a readable UTF-8 CSV file, got {error}") from error
    if not header:
        raise DataContractError(f"{name}: must begin with a header line, got an empty file")
    return header


def _check_header(name: str, header: Iterable[str], declared: Sequence[Column]) -> None:
    header = list(header)
    repeated = sorted({column for column in header if header.count(column) > 1})
    if repeated:
        raise DataContractError(f"{name}: column names must be unique, got {repeated} more than once")
    missing = [column.name for column in declared if column.name not in header]
    if not missing:
        return
    spare = [column for column in header if column not in {c.name for c in declared}]
    hints = []
    for column in missing:
        guess = difflib.get_close_matches(column.lower(), [s.lower() for s in spare], n=1, cutoff=0.6)
        if guess:
            found = next(s for s in spare if s.lower() == guess[0])
            hints.append(f"did you mean {found!r} by {column!r}?")
    if len(header) == 1 and any(mark in header[0] for mark in ";\t|"):
        hints.append("fields must be separated by commas")
    hint = (" " + " ".join(hints)) if hints else ""
    raise DataContractError(
        f"{name}: must have the columns {[column.name for column in declared]},"
        f" missing {missing}, found {header}.{hint}"
    )


def _readable(found: pa.DataType, wanted: DType) -> bool:
    if pa.types.is_dictionary(found):
        found = found.value_type
    is_text = pa.types.is_string(found) or pa.types.is_large_string(found) or pa.types.is_string_view(found)
    # A column that is null throughout is written without a type.
    return is_text or pa.types.is_null(found) or any(test(found) for test in _READABLE[wanted])
