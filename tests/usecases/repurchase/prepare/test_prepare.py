"""The step publishes what it counts, keeps the lake bounded, and asks for no more days than it needs."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pytest

from pipelines.errors import DataContractError
from pipelines.io.lake import Lake
from pipelines.settings import Settings
from pipelines.steps import prepare
from pipelines.usecase import Span
from pipelines.usecases.repurchase import USECASE

DAY = date(2025, 3, 4)


def test_the_record_counts_what_was_published(today: Any, as_of: date) -> None:
    record, found = today.record, today.frames(as_of)
    lake, snapshots = Lake.of(today.settings), today.params.origins(as_of)
    assert record["customers"] == len(found["customers"])
    assert record["in_scope"] == found["customers"]["in_scope"].sum()
    assert record["rows"]["features/repurchase_candidates"] == len(found["candidates"])
    stack, labels = lake.read("features/repurchase_training"), lake.read("features/repurchase_labels")
    assert record["rows"]["features/repurchase_training"] == stack.num_rows
    assert set(stack["as_of"].to_pylist()) == set(snapshots)
    assert record["labels"] == labels.num_rows
    assert record["censored"] == sum(labels["censored"].to_pylist())
    # The days whose horizon is over, for monitoring, and the snapshots.
    assert set(labels["as_of"].to_pylist()) == {*today.params.matured(as_of), *snapshots}
    assert set(lake.read("features/repurchase_customers")["as_of"].to_pylist()) == {as_of, *snapshots}
    assert set(lake.read("features/repurchase_candidates")["as_of"].to_pylist()) == {as_of}


def test_rows_are_stored_in_the_order_of_the_key(today: Any) -> None:
    """Scoring reads ranges of customers: a range should lie in a few row groups."""
    rows = Lake.of(today.settings).read("features/repurchase_candidates")
    assert rows.num_rows > 100
    keys = list(zip(rows["customer_key"].to_pylist(), rows["product_id"].to_pylist(), strict=True))
    assert keys == sorted(keys)


def test_the_stack_and_the_scoring_set_have_the_same_features() -> None:
    settings = Settings.load()
    candidates, stack = (
        USECASE.run(DAY, settings).mart(f"ml_repurchase_{name}") for name in ("candidates", "training")
    )
    assert stack.features == candidates.features
    assert stack.table.columns[: len(candidates.table.columns)] == candidates.table.columns


def test_the_same_rows_give_the_same_bytes(today: Any, alone: Any) -> None:
    """Today does not depend on what became known since, down to the hash of its features."""
    assert today.record["features_hash"] == alone.record["features_hash"]


def test_a_published_day_is_left_alone_on_request(
    today: Any, past_alone: Any, past: date, as_of: date, monkeypatch: pytest.MonkeyPatch
) -> None:
    def started(*_: Any, **__: Any) -> None:
        raise DataContractError("dbt was started")

    def again(of: Any, day: date, **options: Any) -> dict[str, Any]:
        return prepare.run(
            USECASE, day, settings=of.settings, params=of.params, only_if_missing=True, **options
        )

    monkeypatch.setattr(prepare, "run_dbt", started)
    done = {"as_of": as_of.isoformat(), "published": False}
    assert again(today, as_of, training=True) == again(today, as_of) == done
    with pytest.raises(DataContractError, match="dbt was started"):  # its snapshots are missing
        again(past_alone, past, training=True)


def test_days_of_snapshots_and_labels() -> None:
    params = USECASE.load_params(
        Settings.load(),
        {
            "snapshots.count": 2,
            "snapshots.spacing_days": 7,
            "snapshots.observed_days": 20,
            "horizon_days": 14,
        },
    )
    newest = DAY - timedelta(days=22)  # 20 days and the one to settle are over
    assert params.origins(DAY) == [newest - timedelta(days=7), newest]
    matured = DAY - timedelta(days=15)
    assert params.matured(DAY) == [matured - timedelta(days=n) for n in (2, 1, 0)]


def test_only_the_newest_candidates_and_the_last_stack_are_kept(tmp_path: Any) -> None:
    settings = Settings(var=tmp_path)
    lake = Lake.of(settings)
    candidates, stack = (
        USECASE.run(DAY, settings).mart(f"ml_repurchase_{name}") for name in ("candidates", "training")
    )

    def publish(contract: Any, day: date) -> None:
        schema = contract.table.arrow_schema
        row = {field.name: _any(field.type) for field in schema} | {"as_of": day}
        lake.replace_partition(contract.table, pa.Table.from_pylist([row], schema=schema), {"as_of": day})

    days = [DAY + timedelta(days=n) for n in range(3)]
    for day in days:
        publish(candidates, day)
    for day in days:
        publish(stack, day)
    params = USECASE.load_params(settings, {"candidate_versions": 2})
    marts = {mart.model: mart for mart in USECASE.marts}
    for name in ("candidates", "training"):
        here = USECASE.run(days[0], settings, params)
        prepare._drop_old(here, marts[f"ml_repurchase_{name}"], {Span.SNAPSHOTS: [days[1]]})
    kept = sorted(lake.read(candidates.table)["as_of"].to_pylist())
    assert kept == [days[0], days[2]], "a backfill keeps its own day"
    assert lake.read(stack.table)["as_of"].to_pylist() == [days[1]]


def _any(kind: pa.DataType) -> Any:
    """A value that keeps every rule of the columns."""
    return "x" if pa.types.is_string(kind) else True if pa.types.is_boolean(kind) else 1


def test_orders_are_required(workplace: Any) -> None:
    with pytest.raises(DataContractError, match="no table 'raw/repurchase_orders'"):
        prepare.run(USECASE, DAY, settings=workplace({"products": []}))
