"""A publish over real HTTP: all of a version or nothing, once, every item accounted for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from pipelines.errors import ConfigError, DataContractError, SinkError
from pipelines.settings import Settings
from pipelines.sinks.dynamodb import publisher as module
from pipelines.sinks.dynamodb.publisher import publish
from pipelines.sinks.dynamodb.target import LoadOptions
from pipelines.sinks.errors import SinkAuthenticationError, SinkUnavailableError
from pipelines.sinks.fold import published
from pipelines.sinks.ledger import read_flips
from pipelines.sinks.ledger_tables import ROWS

DAY = date(2026, 1, 5)
NEXT = DAY + timedelta(days=1)


def writes(bench: Any) -> int:
    return int(bench.proxy.requests["BatchWriteItem"])


def test_readers_get_what_was_published(bench: Any) -> None:
    rows = bench.rows(40)
    report = bench.publish(rows)
    assert (report.planned, report.sent, report.ok) == (40, 40, 40)
    assert (report.failed, report.unknown, report.dead, report.skipped) == (0, 0, 0, 0)
    assert (report.balanced, report.complete, report.checked) == (True, True, 40)
    items = bench.reader.get_many(rows["item_key"].to_pylist())
    assert bench.reader.get("sku_store#S9#none") is None
    assert items.pointer.version == report.run_id
    assert (items.pointer.as_of, items.pointer.items, items.pointer.revision) == (DAY, 40, 1)
    for row in rows.to_pylist():
        item = items.found[row["item_key"]]
        assert item["version"] == report.run_id
        assert item["as_of"] == "2026-01-05"
        assert item.get("model") == row["model"], "null is an attribute that the item does not have"
        assert [float(value) for value in item["operational"]] == pytest.approx(row["operational"], abs=1e-9)
        assert all(isinstance(value, Decimal) for value in item["operational"])


def test_a_version_expires_after_its_retention_and_the_pointer_never(bench: Any) -> None:
    bench.publish()
    end = datetime(2026, 1, 20, tzinfo=UTC)  # 14 days after the day, and that day to its end
    held = bench.held()
    expiries = [item["expires_at"]["N"] for item in held if item["sk"]["S"] != "@current"]
    assert expiries == [str(int(end.timestamp()))] * 41, "40 items and the facts about their version"
    assert ["expires_at" in item for item in held if item["sk"]["S"] == "@current"] == [False]
    expiry = bench.connection.call("describe_time_to_live", TableName=bench.target.table)
    assert expiry["TimeToLiveDescription"]["AttributeName"] == "expires_at"
    assert expiry["TimeToLiveDescription"]["TimeToLiveStatus"] == "ENABLED"


def test_the_same_rows_again_do_nothing(bench: Any) -> None:
    first = bench.publish()
    before, held = writes(bench), bench.held()
    rows = bench.rows()
    again = bench.publish(rows.take(list(reversed(range(rows.num_rows)))))
    assert (again.noop, again.run_id) == (True, first.run_id)
    assert (again.planned, again.ok, again.balanced) == (40, 40, True)
    assert writes(bench) == before
    assert bench.held() == held


def test_a_day_that_is_scored_again_becomes_a_version_of_its_own(bench: Any) -> None:
    first = bench.publish()
    second = bench.publish(bench.rows(shift=0.5))
    assert second.run_id != first.run_id
    assert (second.noop, second.facts["revision"]) == (False, 2)
    assert bench.reader.get("sku_store#S0#K0000")["units"] == Decimal("0.5")
    old = bench.reader.read(first.run_id, ["sku_store#S0#K0000"])
    assert old["sku_store#S0#K0000"]["units"] == 0, "the version before lies beside it"
    flips = read_flips(bench.lake, "dynamodb", bench.target.object)
    assert flips.select("revision", "kind", "version", "before").rows() == [
        (1, "publish", first.run_id, None),
        (2, "publish", second.run_id, first.run_id),
    ]


def test_older_days_and_far_fewer_items_are_refused_unless_forced(bench: Any) -> None:
    bench.publish(day=NEXT)
    before = writes(bench)
    with pytest.raises(SinkError, match="published for 2026-01-06 already; 2026-01-05 would overwrite newer"):
        bench.publish()
    with pytest.raises(SinkError, match="31 items would replace 40; at most 20%"):
        bench.publish(bench.rows(31, NEXT), NEXT)
    assert writes(bench) == before
    assert bench.publish(bench.rows(32, NEXT), NEXT).ok == 32
    forced = bench.publish(bench.rows(10), force=True)
    assert bench.reader.current().version == forced.run_id


def test_a_rehearsal_counts_and_writes_nothing(bench: Any) -> None:
    report = bench.publish(dry_run=True)
    assert (report.planned, report.sent, report.run_id, report.complete) == (40, 0, None, False)
    assert report.warnings == (f"the table {bench.target.table} is not there yet; a publish makes it",)
    assert len(report.sample) == 5
    assert report.sample[0]["operational"] == [Decimal("0.1"), Decimal("0.2"), Decimal("0.3")]
    assert set(bench.proxy.requests) == {"DescribeTable"}
    assert not bench.lake.exists(ROWS.name)
    bench.publish()
    with pytest.raises(SinkError, match="with older ones"):
        bench.publish(day=DAY - timedelta(days=1), dry_run=True)
    assert bench.publish(dry_run=True).facts["serves"] == bench.ledger.newest().run_id


def test_values_that_cannot_be_written_are_refused_by_name_before_anything_is_sent(bench: Any) -> None:
    rows = bench.rows(3)
    values = [[0.1, 0.2], [0.1, float("nan")], [0.3, 0.4]]
    at = rows.column_names.index("operational")
    bad = rows.set_column(at, "operational", pa.array(values, pa.list_(pa.float64())))
    with pytest.raises(DataContractError, match=r"operational must hold finite.*nan.*'sku_store#S1#K0001'"):
        bench.publish(bad)
    with pytest.raises(DataContractError, match=r"must be unique, got 2 rows.*K0000"):
        bench.publish(pa.concat_tables([rows, rows.slice(0, 1)]))
    with pytest.raises(DataContractError, match="there are no rows for 2026-01-05"):
        bench.publish(rows.slice(0, 0))
    assert not bench.proxy.requests


def refuse_key(bench: Any, key: str) -> None:
    """Let the service refuse every batch that holds a key, as it does with an invalid item."""

    def hook(operation: str, body: dict[str, Any]) -> Any:
        if operation == "BatchWriteItem" and f"#{key}" in str(body):
            return 400, {"__type": "x#ValidationException", "message": "this item is not valid"}
        return None

    bench.proxy.hook = hook


def test_an_item_that_is_refused_keeps_the_version_from_serving_until_it_is_mended(bench: Any) -> None:
    first = bench.publish(day=DAY)
    refuse_key(bench, "S3#K0010")
    with pytest.raises(SinkError, match=r"39 of 40 items were confirmed, 1 are dead.*K0010.*is not valid"):
        bench.publish(day=NEXT)
    run = bench.ledger.newest()
    counts = run.counts()
    assert (counts.planned, counts.sent, counts.ok, counts.failed, counts.dead) == (40, 40, 39, 1, 1)
    assert run.rows().filter(pl.col("state") == "dead")["external_id"].to_list() == ["sku_store#S3#K0010"]
    assert bench.reader.current().version == first.run_id
    bench.proxy.hook = None
    before = writes(bench)
    with pytest.raises(SinkError, match="1 are dead"):
        bench.publish(day=NEXT)
    assert writes(bench) == before, "a dead item is not tried again unasked"
    report = bench.publish(day=NEXT, retry_dead=True)
    assert (report.run_id, report.ok, report.dead, report.resumed) == (run.run_id, 40, 0, True)
    assert writes(bench) == before + 1
    assert bench.reader.current().version == run.run_id


def test_a_service_that_refuses_everything_stops_the_publish_at_the_first_chunk(bench: Any) -> None:
    refuse_key(bench, "S")
    with pytest.raises(SinkError, match=r"refuses every item of chunk 0.*is not valid"):
        bench.publish(chunk_rows=10)
    assert bench.ledger.newest().counts().sent == 10


def test_items_that_stay_unprocessed_are_tried_in_rounds_and_then_dead(bench: Any) -> None:
    def hook(operation: str, body: dict[str, Any]) -> Any:
        if operation == "BatchWriteItem":
            return 200, {"UnprocessedItems": body["RequestItems"]}
        return None

    bench.proxy.hook = hook
    quick = replace(bench.options.http, attempts=2)
    with pytest.raises(SinkError, match=r"0 of 5 items were confirmed, 5 are dead.*unprocessed 2 times"):
        bench.publish(bench.rows(5), http=quick, max_attempts=3)
    assert writes(bench) == 6, "three rounds of two tries"
    run = bench.ledger.newest()
    assert set(run.rows()["attempt"]) == {3}
    assert (run.counts().failed, run.counts().dead) == (5, 5)
    bench.proxy.hook = None
    assert bench.publish(bench.rows(5), retry_dead=True).ok == 5


def test_an_unfinished_version_with_other_rows_is_given_up(bench: Any) -> None:
    refuse_key(bench, "S3#K0010")
    with pytest.raises(SinkError, match="dead"):
        bench.publish()
    given_up = bench.ledger.newest().run_id
    bench.proxy.hook = None
    report = bench.publish(bench.rows(shift=1.0))
    runs = bench.ledger.runs()
    assert runs.select("run_id", "state").rows() == [(given_up, "superseded"), (report.run_id, "finished")]
    assert bench.versions.version(given_up).state == "loading"
    assert bench.versions.pointer().version == report.run_id


def test_the_loser_of_two_flips_fails_cleanly_and_can_try_again(bench: Any) -> None:
    bench.publish()
    rival = "20260105-000009-rival"

    def hook(operation: str, body: dict[str, Any]) -> Any:
        if operation == "PutItem" and body["Item"]["sk"]["S"] == "@current":
            bench.proxy.hook = None  # the rival's own write passes
            seen = bench.versions.pointer()
            mine = bench.versions.version(seen.version)
            bench.versions.flip(replace(mine, name=rival), seen=seen, served=())
        return None

    bench.proxy.hook = hook
    with pytest.raises(SinkError, match=rf"somebody else moved the pointer .* to {rival}"):
        bench.publish(day=NEXT)
    loser = bench.ledger.newest()
    assert loser.state == "open"
    assert bench.reader.current().version == rival
    before = writes(bench)
    report = bench.publish(day=NEXT)
    assert (report.run_id, report.resumed, report.facts["revision"]) == (loser.run_id, True, 3)
    assert writes(bench) == before, "its items were there already"


def test_a_flip_whose_answer_was_lost_is_not_taken_for_a_rivals(bench: Any) -> None:
    flips = 0

    def hook(operation: str, body: dict[str, Any]) -> Any:
        nonlocal flips
        if operation == "PutItem" and body["Item"]["sk"]["S"] == "@current":
            flips += 1
            if flips == 1:
                bench.connection.call("put_item", **body)
                return 500, {"__type": "x#InternalServerError", "message": "lost"}
        return None

    bench.proxy.hook = hook
    report = bench.publish()
    assert (report.complete, report.facts["revision"]) == (True, 1)
    assert flips >= 2


def test_a_flip_that_was_not_written_down_is_written_down_by_the_next_call(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "record_flip", die)
        with pytest.raises(KeyboardInterrupt):
            bench.publish()
    assert bench.reader.current().revision == 1
    report = bench.publish()
    assert (report.resumed, report.facts["revision"]) == (True, 1)
    flips = read_flips(bench.lake, "dynamodb", bench.target.object)
    assert flips.select("revision", "version", "before").rows() == [(1, report.run_id, None)]


def test_a_table_that_was_lost_is_filled_again(bench: Any) -> None:
    first = bench.publish()
    bench.connection.call("update_table", TableName=bench.target.table, DeletionProtectionEnabled=False)
    bench.connection.call("delete_table", TableName=bench.target.table)
    again = bench.publish()
    assert (again.noop, again.ok, again.run_id != first.run_id) == (False, 40, True)
    assert bench.reader.get("sku_store#S0#K0000")["version"] == again.run_id


def test_use_cases_share_a_table_and_do_not_see_each_other(bench: Any) -> None:
    bench.publish()
    other = replace(bench.target, namespace="repurchase")
    publish(
        bench.rows(3, shift=9.0), as_of=DAY, target=other, settings=bench.settings, lake=bench.lake, options=bench.options
    )  # fmt: skip
    assert bench.reader.current().items == 40
    assert bench.reader.get("sku_store#S0#K0000")["units"] == 0


def test_the_ledger_forgets_single_rows_of_old_days_and_keeps_their_sums(bench: Any) -> None:
    bench.publish(bench.rows(4))
    bench.publish(bench.rows(4, NEXT), NEXT, ledger_days=0)
    rows = bench.lake.read(ROWS, columns=["as_of"])["as_of"].to_pylist()
    assert set(rows) == {NEXT}
    assert bench.ledger.runs().select("as_of", "ok").rows() == [(DAY, 4), (NEXT, 4)]
    assert published(bench.ledger.newest().rows()).height == 4


def test_write_units_stay_below_the_limit_and_are_reported(bench: Any) -> None:
    report = bench.publish(bench.rows(40), max_write_units=5000)
    assert report.facts["write_units_by_size"] == 40, "one unit per item of less than a kilobyte"
    assert report.facts["requests"] == 2
    assert report.facts["write_units"] == 2.0, "the twin charges one per batch"
    assert 0 < report.facts["item_bytes_mean"] <= report.facts["item_bytes_max"] < 1024
    assert report.record()["write_units_by_size"] == 40


def test_an_unreachable_service_is_named_with_its_address(bench: Any) -> None:
    place = bench.place.model_copy(update={"endpoint_url": "http://127.0.0.1:9"})
    settings = bench.settings.model_copy(update={"dynamodb": place})
    options = replace(bench.options, http=replace(bench.options.http, attempts=2))
    with pytest.raises(
        SinkUnavailableError, match=r"http://127.0.0.1:9 \(eu-west-3\) did not complete a request in 2"
    ):
        publish(
            bench.rows(1), as_of=DAY, target=bench.target, settings=settings, lake=bench.lake, options=options
        )


def test_what_is_missing_in_the_settings_is_named(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(settings: Settings) -> None:
        publish(
            bench.rows(1),
            as_of=DAY,
            target=bench.target,
            settings=settings,
            lake=bench.lake,
            options=bench.options,
        )

    with pytest.raises(ConfigError, match="MILLRACE_DYNAMODB__TABLE and MILLRACE_DYNAMODB__REGION"):
        run(bench.settings.model_copy(update={"dynamodb": None}))
    place = bench.place.model_copy(update={"region": ""})
    with pytest.raises(ConfigError, match="set MILLRACE_DYNAMODB__REGION"):
        run(bench.settings.model_copy(update={"dynamodb": place}))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(ConfigError, match="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        run(bench.settings)


def test_refused_credentials_are_an_error_of_their_own_and_are_not_shown(bench: Any) -> None:
    bench.proxy.hook = lambda *_: (
        400,
        {"__type": "x#UnrecognizedClientException", "message": "invalid token"},
    )
    with pytest.raises(SinkAuthenticationError, match="refused the credentials") as caught:
        bench.publish()
    assert "tests" not in str(caught.value)
    assert bench.proxy.requests.total() == 1, "no second try: it cannot help"


def test_one_publish_at_a_time(bench: Any) -> None:
    def hook(operation: str, body: dict[str, Any]) -> Any:
        if operation == "BatchWriteItem":
            bench.proxy.hook = None
            with pytest.raises(SinkError, match="another process is publishing"):
                bench.publish()
            refused.append(operation)
        return None

    refused: list[str] = []
    bench.proxy.hook = hook
    bench.publish()
    assert refused


def test_the_defaults_are_those_of_a_new_table() -> None:
    assert LoadOptions().max_write_units == 4000
    with pytest.raises(ConfigError, match="max_write_units must be > 0"):
        LoadOptions(max_write_units=0)
