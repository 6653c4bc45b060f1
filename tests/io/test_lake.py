"""The lake publishes whole tables or nothing, whoever else writes and whatever dies."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pa_dataset
import pyarrow.fs as pa_fs
import pytest
from deltalake import write_deltalake

from features.schemas import Column, DType, Table
from pipelines.errors import DataContractError
from pipelines.io.hashing import content_hash
from pipelines.io.lake import Lake, having
from pipelines.io.volume import earlier_volumes

TABLE = Table(
    "ops/example",
    "One row per day and key.",
    (
        Column("as_of", DType.DATE, "Day."),
        Column("name", DType.STRING, "Key."),
        Column("value", DType.NUMBER, "Value.", nullable=True, minimum=0, maximum=10),
        Column("kind", DType.STRING, "Kind.", allowed=("a", "b")),
    ),
    key=("as_of", "name"),
    partition_by=("as_of",),
)
DAY = date(2025, 1, 6)


def rows(day: date = DAY, count: int = 3, value: float | None = 1.0, kind: str = "a") -> pa.Table:
    return pa.table(
        {
            "as_of": pa.array([day] * count, pa.date32()),
            "name": [f"n{i}" for i in range(count)],
            "value": pa.array([value] * count, pa.float64()),
            "kind": [kind] * count,
        }
    )


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def test_replace_partition_leaves_the_other_days_alone(lake: Lake) -> None:
    other = DAY + timedelta(days=7)
    lake.replace_partition(TABLE, rows(DAY, value=1.0), {"as_of": DAY})
    lake.replace_partition(TABLE, rows(other, value=2.0), {"as_of": other})
    commit = lake.replace_partition(TABLE, rows(DAY, count=1, value=3.0), {"as_of": DAY})
    assert commit.rows == 1
    assert lake.read(TABLE, where=pa_dataset.field("as_of") == DAY)["value"].to_pylist() == [3.0]
    assert lake.read(TABLE, where=pa_dataset.field("as_of") == other).num_rows == 3


def test_rows_outside_the_partition_are_refused(lake: Lake) -> None:
    with pytest.raises(DataContractError, match="3 rows lie outside the partition"):
        lake.replace_partition(TABLE, rows(DAY), {"as_of": DAY + timedelta(days=1)})
    assert not lake.exists(TABLE.name)


def test_several_partitions_are_replaced_in_one_commit(lake: Lake) -> None:
    days = [DAY + timedelta(days=i) for i in range(4)]
    lake.append(TABLE, pa.concat_tables([rows(day) for day in days]))
    before = lake.version(TABLE.name)
    lake.replace_partitions(TABLE, rows(days[1], count=2), "as_of", days[:2])
    assert lake.version(TABLE.name) == before + 1
    counts = lake.read(TABLE).group_by("as_of").aggregate([("name", "count")]).sort_by("as_of")
    assert counts["name_count"].to_pylist() == [2, 3, 3]  # day 0 emptied, day 1 replaced


@pytest.mark.parametrize("order", ["ascending", "descending"])
@pytest.mark.parametrize("repeats", [0, 1])
def test_repeated_keys_are_found_in_any_order(lake: Lake, order: str, repeats: int) -> None:
    """Keys in order are compared with the one before, others are counted; both must see a repeat."""
    data = pa.concat_tables([rows(), rows().slice(0, repeats)]).sort_by([("name", order)])
    if repeats:
        with pytest.raises(DataContractError, match=r"must be unique, got .* \(offending rows: 1\)"):
            lake.append(TABLE, data)
    else:
        assert lake.append(TABLE, data).rows == 3


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (rows(value=11.0), r"value must be <= 10, got 11.0 \(offending rows: 3\)"),
        (rows(value=-1.0), "value must be >= 0, got -1.0"),
        (rows(value=float("nan")), "value must be finite"),
        (rows(kind="z"), "kind must be one of a, b, got z"),
        (pa.concat_tables([rows(), rows()]), r"must be unique, got 2025-01-06, n\d \(offending rows: 3\)"),
        (rows().drop_columns(["kind"]), r"columns are missing: \['kind'\]"),
        (rows().append_column("x", pa.array([1, 2, 3])), r"columns are not declared: \['x'\]"),
        (
            rows().set_column(2, "value", pa.array([1, 2, 3], pa.int64())),
            "value must be double, got int64",
        ),
        (
            rows().set_column(3, "kind", pa.array(["a", None, "b"])),
            r"kind must not be null \(offending rows: 1\)",
        ),
    ],
    ids=["max", "min", "nan", "allowed", "key", "missing", "extra", "type", "null"],
)
@pytest.mark.parametrize("streamed", [False, True], ids=["table", "stream"])
def test_a_broken_contract_publishes_nothing(lake: Lake, bad: pa.Table, message: str, streamed: bool) -> None:
    lake.append(TABLE, rows())
    with pytest.raises(DataContractError, match=message):
        lake.overwrite(TABLE, bad.to_reader() if streamed else bad)
    assert lake.read(TABLE).equals(rows().cast(lake.read(TABLE).schema))


def test_a_failed_audit_of_the_caller_publishes_nothing(lake: Lake) -> None:
    with pytest.raises(DataContractError, match="too few rows: 3"):
        lake.append(TABLE, rows(), audits=[lambda staged: [f"too few rows: {len(staged.fetchall())}"]])
    assert not lake.exists(TABLE.name)


def test_a_pinned_read_sees_the_old_version(lake: Lake) -> None:
    first = lake.append(TABLE, rows(value=1.0)).version
    lake.overwrite(TABLE, rows(value=2.0))
    assert set(lake.read(TABLE, version=first)["value"].to_pylist()) == {1.0}
    assert set(lake.read(TABLE)["value"].to_pylist()) == {2.0}
    lake.vacuum(TABLE.name, retain_days=0)
    assert set(lake.read(TABLE)["value"].to_pylist()) == {2.0}
    with pytest.raises(FileNotFoundError):
        lake.read(TABLE, version=first)


def test_reads_need_no_python_in_the_threads_of_arrow(lake: Lake) -> None:
    """A process that ends while Arrow reads ahead must not abort for want of its interpreter."""
    lake.replace_partition(TABLE, rows(DAY), {"as_of": DAY})
    filesystem = lake.dataset(TABLE.name).filesystem
    assert isinstance(filesystem, pa_fs.SubTreeFileSystem)
    assert isinstance(filesystem.base_fs, pa_fs.LocalFileSystem)


def test_folders_with_odd_names_are_read(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "a lake, é")
    kinds = ["a b", "c/d", "é%20", "x=y:z", "50%"]
    table = pa.table({"value": [1, 2, 3, 4, 5], "kind": kinds})
    write_deltalake(lake.uri("raw/odd"), table, partition_by=["kind"])
    found = lake.read("raw/odd", columns=["value", "kind"]).sort_by("value")
    assert found["kind"].to_pylist() == kinds


def test_a_missing_table_says_what_to_do(lake: Lake) -> None:
    with pytest.raises(DataContractError, match="no table 'ops/example'"):
        lake.read(TABLE)
    assert lake.read(TABLE, missing_ok=True, columns=["name"]).num_rows == 0


def test_metadata_is_kept_with_the_commit(lake: Lake) -> None:
    lake.append(TABLE, rows(), metadata={"sources": {"raw/x": 3}})
    assert lake.open(TABLE.name).history()[0]["sources"] == '{"raw/x": 3}'


def test_content_hash_ignores_order_and_layout_but_not_values() -> None:
    table = rows(count=5)
    shuffled = pa.concat_tables([table.slice(3), table.slice(0, 3)])
    key = list(TABLE.key)
    assert content_hash(table, sort_by=key) == content_hash(shuffled, sort_by=key)
    assert content_hash(table, sort_by=key) != content_hash(rows(count=5, value=1.0000000001), sort_by=key)


def _replace_days(root: str, days: list[date]) -> None:
    for day in days:
        Lake(root).replace_partition(TABLE, rows(day, count=50), {"as_of": day})


def test_two_processes_write_different_partitions_of_a_new_table(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    days = [DAY + timedelta(days=i) for i in range(10)]
    workers = [
        context.Process(target=_replace_days, args=(str(tmp_path), part)) for part in (days[::2], days[1::2])
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=120)
    assert [worker.exitcode for worker in workers] == [0, 0]
    counts = Lake(tmp_path).read(TABLE).group_by("as_of").aggregate([("name", "count")])
    assert sorted(counts["as_of"].to_pylist()) == days
    assert set(counts["name_count"].to_pylist()) == {50}


def _rewrite_for_ever(root: str, ready: str) -> None:
    lake, value = Lake(root), 0
    while True:
        value = (value + 1) % 10
        lake.overwrite(TABLE, rows(count=100_000, value=float(value)))
        Path(ready).touch()


@pytest.mark.chaos
def test_a_killed_writer_leaves_a_whole_version(tmp_path: Path) -> None:
    lake, context = Lake(tmp_path / "lake"), multiprocessing.get_context("spawn")
    lake.overwrite(TABLE, rows(count=100_000, value=0.0))
    for attempt in range(5):
        ready = tmp_path / f"ready-{attempt}"
        worker = context.Process(target=_rewrite_for_ever, args=(lake.root, str(ready)))
        worker.start()
        while not ready.exists():  # the writer is now inside its second or a later write
            assert worker.is_alive() or ready.exists(), "the writer did not start"
            time.sleep(0.01)
        time.sleep(0.03 * attempt)
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
        worker.join()
        found = lake.read(TABLE, columns=["value"])["value"]
        assert len(found) == 100_000
        assert len(found.unique()) == 1, "rows of two versions are mixed"


def test_days_before_are_counted_and_the_newest_is_found(lake: Lake) -> None:
    assert lake.newest_day(TABLE, DAY) is None
    assert earlier_volumes(lake, TABLE, DAY) == []
    for back, count in ((0, 4), (1, 3), (7, 2)):
        lake.append(TABLE, rows(DAY - timedelta(days=back), count))
    assert lake.newest_day(TABLE, DAY) == DAY
    assert lake.newest_day(TABLE, DAY - timedelta(days=1)) == DAY - timedelta(days=1)
    assert lake.newest_day(TABLE, DAY, having(name="n3")) == DAY
    assert lake.newest_day(TABLE, DAY - timedelta(days=1), having(name="n3")) is None
    assert earlier_volumes(lake, TABLE, DAY) == [2, 3]
    assert earlier_volumes(lake, TABLE, DAY, pa_dataset.field("name") == "n2") == [1]
