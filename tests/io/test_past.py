"""Rows go without a trace: from the table, its older versions, and the log that told of them."""

from __future__ import annotations

import threading
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pa_dataset
import pytest

from features.schemas import Column, DType, Table
from pipelines.errors import DataContractError
from pipelines.io.lake import Lake

TABLE = Table(
    name="ops/things",
    description="Things. One row per thing.",
    columns=(
        Column("thing", DType.STRING, "Key."),
        Column("sink", DType.STRING, "Where."),
        Column("as_of", DType.DATE, "Day."),
        Column("note", DType.STRING, "Words; may be missing.", nullable=True),
    ),
    key=("thing",),
    partition_by=("sink", "as_of"),
)
FLAT = Table("ops/flat", TABLE.description, TABLE.columns, TABLE.key)
SECRET = "secret-7f3a"


def rows(numbers: range, day: date, note: str | None = None) -> pa.Table:
    made = [
        {"thing": f"t{number:02d}", "sink": "ab"[number % 2], "as_of": day, "note": note}
        for number in numbers
    ]
    return pa.Table.from_pylist(made, schema=TABLE.arrow_schema)


@pytest.fixture(params=[TABLE, FLAT], ids=["partitioned", "flat"])
def filled(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Lake, Table]:
    """Several commits, one of which names the secret."""
    lake, table = Lake(str(tmp_path)), request.param
    lake.append(table, rows(range(10), date(2026, 1, 1)))
    lake.append(table, rows(range(10, 20), date(2026, 1, 2), note=SECRET))
    lake.append(table, rows(range(20, 30), date(2026, 1, 3), note="plain"))
    return lake, table


def held(lake: Lake, table: Table) -> set[str]:
    return set(lake.read(table, columns=["thing"])["thing"].to_pylist())


def test_rows_go_and_rows_of_which_it_is_unknown_stay(filled: tuple[Lake, Table]) -> None:
    lake, table = filled
    gone = lake.rewrite(table.name, pa_dataset.field("note") == SECRET)
    assert gone == 10
    assert held(lake, table) == {f"t{n:02d}" for n in (*range(10), *range(20, 30))}, "a null note is no match"


def test_nothing_to_do_is_no_commit(filled: tuple[Lake, Table]) -> None:
    lake, table = filled
    before = lake.version(table.name)
    assert lake.rewrite(table.name, pa_dataset.field("thing") == "nobody") == 0
    assert lake.version(table.name) == before


def test_other_rows_may_come_in_their_place(filled: tuple[Lake, Table]) -> None:
    lake, table = filled
    mine = pa_dataset.field("thing") == "t11"
    new = lake.read(table, where=mine).set_column(3, "note", pa.array(["[erased]"]))
    assert lake.rewrite(table.name, mine, instead=new) == 1
    assert lake.read(table, where=mine)["note"].to_pylist() == ["[erased]"]
    assert len(held(lake, table)) == 30


def test_everything_may_go(filled: tuple[Lake, Table]) -> None:
    lake, table = filled
    assert lake.rewrite(table.name, pa_dataset.field("thing") >= "t") == 30
    assert held(lake, table) == set()
    lake.append(table, rows(range(1), date(2026, 1, 1)))
    assert held(lake, table) == {"t00"}


def test_the_past_goes_and_the_numbers_go_on(filled: tuple[Lake, Table], tmp_path: Path) -> None:
    lake, table = filled
    old = lake.version(table.name)
    lake.rewrite(table.name, pa_dataset.field("note") == SECRET)
    assert files_with(tmp_path, SECRET), "the rows are still in the files of older versions"
    lake.drop_past(table.name)
    assert files_with(tmp_path, SECRET) == []
    with pytest.raises(DataContractError, match="no longer kept"):
        lake.open(table.name, old)
    [kept] = [entry["version"] for entry in lake.open(table.name).history()]
    assert kept > old
    lake.append(table, rows(range(30, 31), date(2026, 1, 4)))
    assert lake.version(table.name) == kept + 1
    assert len(held(lake, table)) == 21
    lake.drop_past(table.name)  # again, on a table whose last entry is an ordinary write
    assert len(held(lake, table)) == 21


def files_with(folder: Path, word: str) -> list[str]:
    """Files that hold a word, compressed pages and statistics decoded."""
    import pyarrow.parquet as pa_parquet

    found = []
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        text = path.read_bytes().decode("latin-1")
        if path.suffix == ".parquet":
            file = pa_parquet.ParquetFile(path)
            text += str(file.read().to_pydict()) + str(file.metadata.to_dict())
        if word in text:
            found.append(path.name)
    return found


def test_a_rewrite_loses_no_row_that_is_appended_meanwhile(filled: tuple[Lake, Table]) -> None:
    lake, table = filled
    others = [
        threading.Thread(target=lake.append, args=(table, rows(range(n, n + 1), date(2026, 1, 2))))
        for n in range(40, 46)
    ]
    for each in others:
        each.start()
    lake.rewrite(table.name, pa_dataset.field("note") == SECRET)
    for each in others:
        each.join()
    lake.rewrite(table.name, pa_dataset.field("note") == SECRET)
    assert held(lake, table) == {f"t{n:02d}" for n in (*range(10), *range(20, 30), *range(40, 46))}
