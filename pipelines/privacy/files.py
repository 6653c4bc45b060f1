"""A person in the files of a deployment: delivered copies, report pages, scratch left behind, logs, artifacts."""

from __future__ import annotations

import csv
import gzip
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from pathlib import Path
from typing import IO

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pa_parquet

from pipelines.discovery import every
from pipelines.privacy.person import Person, natural_columns, redact, references
from pipelines.settings import Settings

log = logging.getLogger(__name__)

#: Folders under <var> whose texts may quote a person.
_TEXT_FOLDERS = ("logs", "gx", "runs", "mlflow", "airflow/logs")
_TEXT_SUFFIXES = frozenset({".log", ".json", ".txt", ".html", ".md", ".yml", ".yaml", ".sql", ""})

#: Texts beyond this are not ours.
_MAX_TEXT_BYTES = 64_000_000


class Deliveries:
    """Files below ``<var>/data``: copies of what source systems delivered.

    Archives elsewhere are their owners': an ingest refuses their rows, see ``ops/tombstones``.
    """

    name = "delivered files"

    def __init__(self, settings: Settings) -> None:
        self._root = settings.var / "data"

    def find(self, person: Person) -> dict[str, int]:
        """Count the person's rows, by file."""
        return {
            str(path.relative_to(self._root)): _rewrite(path, which, keep=True)
            for path, which in self._files(person)
        }

    def erase(self, person: Person) -> None:
        """Rewrite the files without them."""
        for path, which in self._files(person):
            if _rewrite(path, which, keep=True):
                _rewrite(path, which, keep=False)

    def _files(self, person: Person) -> Iterator[tuple[Path, Mapping[str, frozenset[str]]]]:
        for usecase in every():
            which = {name: frozenset({person.natural_id}) for name in natural_columns(usecase)}
            for reference in references(usecase):
                if person.referred.get(reference.kind):
                    which[reference.column] = person.referred[reference.kind]
            for path in sorted((self._root / usecase.name).rglob("*")) if which else ():
                if path.is_file() and path.name.endswith((".parquet", ".csv", ".csv.gz")):
                    yield path, which


def _rewrite(path: Path, which: Mapping[str, frozenset[str]], *, keep: bool) -> int:
    """Count the rows with one of the values in one of the columns; without ``keep``, rewrite the file without them."""
    aside = path.with_name(f".{path.name}.part")
    try:
        count = _parquet(path, which, aside) if path.suffix == ".parquet" else _csv(path, which, aside)
        if not keep:
            aside.replace(path)
        return count
    finally:
        aside.unlink(missing_ok=True)


def _parquet(path: Path, which: Mapping[str, frozenset[str]], aside: Path) -> int:
    file, count = pa_parquet.ParquetFile(path), 0
    columns = [name for name in which if name in file.schema_arrow.names]
    if not columns:
        return 0
    with pa_parquet.ParquetWriter(aside, file.schema_arrow) as writer:
        for batch in file.iter_batches():
            found = [
                pc.is_in(batch.column(name).cast(pa.string()), value_set=pa.array(which[name], pa.string()))
                for name in columns
            ]
            kept = batch.filter(pc.invert(reduce(pc.or_, found)))
            count += batch.num_rows - kept.num_rows
            writer.write_batch(kept)
    return count


def _csv(path: Path, which: Mapping[str, frozenset[str]], aside: Path) -> int:
    """Filter the lines of a CSV file; a line that does not split as the header does counts if any field fits."""
    count = 0
    open_: Callable[..., IO[str]] = gzip.open if path.name.endswith(".gz") else open
    with (
        open_(path, "rt", encoding="utf-8-sig", errors="surrogateescape", newline="") as lines,
        open_(aside, "wt", encoding="utf-8", errors="surrogateescape", newline="") as kept,
    ):
        first = next(lines, "")
        kept.write(first)
        header = next(csv.reader([first]), [])
        places = [(number, which[name]) for number, name in enumerate(header) if name in which]
        anywhere: frozenset[str] = frozenset().union(*(values for _, values in places))
        for line in lines:
            fields = next(csv.reader([line]), [])
            if len(fields) == len(header):
                mine = any(fields[number] in values for number, values in places)
            else:
                mine = not anywhere.isdisjoint(fields)
            count += mine
            if not mine:
                kept.write(line)
    return count


class ReportPages:
    """Pages of the report that show the person: they are removed and rendered again from what is left."""

    name = "report pages"

    def __init__(self, settings: Settings, render: Callable[[str], None]) -> None:
        self._root = settings.report_dir
        self._render = render

    def find(self, person: Person) -> dict[str, int]:
        """Count the places where a page names the person, by page."""
        return {str(path.relative_to(self._root)): count for path, count in self._pages(person)}

    def erase(self, person: Person) -> None:
        """Remove the pages and render those of use cases again."""
        gone = [path for path, _ in self._pages(person)]
        for path in gone:
            path.unlink()
        for path in gone:
            self._render(path.stem)

    def _pages(self, person: Person) -> Iterator[tuple[Path, int]]:
        for path in sorted(self._root.rglob("*.html")):
            count = sum(1 for _ in person.words.finditer(path.read_text(encoding="utf-8", errors="replace")))
            if count:
                yield path, count


class Scratch:
    """What runs left behind: databases of failed dbt runs, and texts that quote the person."""

    name = "scratch, logs and artifacts"

    def __init__(self, settings: Settings) -> None:
        self._var = settings.var

    def find(self, person: Person) -> dict[str, int]:
        """Count left-over databases and texts that quote the person, by kind."""
        return {
            "runs (databases)": sum(1 for _ in self._databases()),
            "texts": sum(1 for _ in self._texts(person)),
        }

    def erase(self, person: Person) -> None:
        """Remove the databases, and redact the person in the texts."""
        for path in self._databases():
            path.unlink()
        for path in self._texts(person):
            aside = path.with_name(f".{path.name}.part")
            aside.write_text(redact(_read(path), person), encoding="utf-8", errors="surrogateescape")
            aside.replace(path)

    def _databases(self) -> Iterator[Path]:
        """Scratch databases that no process works on; a run that succeeds leaves none."""
        for path in sorted((self._var / "runs").rglob("*.duckdb")):
            try:
                duckdb.connect(str(path)).close()
            except duckdb.IOException as error:
                # One that is broken, as a killed run may leave it, holds rows all the same.
                if "Could not set lock" in str(error):
                    log.info("%s is in use by a run, which removes it when it succeeds", path)
                    continue
            yield path

    def _texts(self, person: Person) -> Iterator[Path]:
        for name in _TEXT_FOLDERS:
            for folder, _, files in os.walk(self._var / name):
                for file in sorted(files):
                    path = Path(folder) / file
                    if path.suffix not in _TEXT_SUFFIXES or path.is_symlink():
                        continue
                    if path.stat().st_size < _MAX_TEXT_BYTES and person.words.search(_read(path)):
                        yield path


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="surrogateescape")
