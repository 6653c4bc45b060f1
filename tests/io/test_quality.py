"""Suites derived from declarations find what they must, stop publication and stay offline."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from features.schemas import Column, DType, Table
from pipelines.errors import DataContractError
from pipelines.io import quality
from pipelines.io.lake import Lake
from pipelines.io.quality import docs_dir, quality_audit, sample_condition, validate
from pipelines.settings import Settings

TABLE = Table(
    "predictions/example",
    "Scores. One row per day and account.",
    (
        Column("as_of", DType.DATE, "Day."),
        Column("account_key", DType.STRING, "Account."),
        Column("score", DType.NUMBER, "Probability.", minimum=0, maximum=1),
        Column("seats", DType.INTEGER, "Seats; null if unknown.", nullable=True, minimum=1),
        Column("level", DType.STRING, "Level.", allowed=("low", "high")),
    ),
    key=("as_of", "account_key"),
)


def frame(count: int = 4, **columns: list[object]) -> pa.Table:
    values: dict[str, list[object]] = {
        "as_of": [date(2025, 1, 6)] * count,
        "account_key": [f"a{i}" for i in range(count)],
        "score": [0.25] * count,
        "seats": [3, *[None] * (count - 1)],
        "level": ["low"] * count,
    }
    return pa.table(
        [pa.array((values | columns)[f.name], f.type) for f in TABLE.arrow_schema], TABLE.column_names
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(var=tmp_path / "var")


def test_good_rows_pass_and_every_broken_rule_is_named(settings: Settings) -> None:
    good = validate(TABLE, frame(), settings=settings)
    assert (good.success, good.failures, good.rows, good.checked) == (True, (), 4, 4)

    bad = frame(
        account_key=["a0", "a1", "a1", "a3"],
        score=[0.5, 1.5, None, 0.1],
        seats=[0, None, 2, 4],
        level=["low", "high", "urgent", None],
    )
    found = validate(TABLE, bad, settings=settings)
    assert not found.success
    assert sorted(found.failures) == [
        "key ['as_of', 'account_key'] must be unique, got {'as_of': '2025-01-06', "
        "'account_key': 'a1'} (offending rows: 2 of 4)",
        "level must be one of ['low', 'high'], got urgent (offending rows: 1 of 4)",
        "level must not be null (offending rows: 1 of 4)",
        "score must lie in [0, 1], got 1.5 (offending rows: 1 of 4)",
        "score must not be null (offending rows: 1 of 4)",
        "seats must lie in [1, inf], got 0.0 (offending rows: 1 of 4)",
    ]
    stored = json.loads((settings.var / "gx" / "results" / "predictions_example.json").read_text())
    assert stored["failures"] == list(found.failures)


def test_columns_in_another_order_or_absent_are_failures(settings: Settings) -> None:
    found = validate(TABLE, frame().drop_columns("level"), settings=settings)
    words = " ".join(found.failures)
    assert "columns must be ['as_of', 'account_key', 'score', 'seats', 'level']" in words
    assert "level must not be null, could not be checked" in words


def test_a_failed_validation_stops_the_publication(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(tmp_path / "lake")
    lake.append(TABLE, frame())
    stricter = replace(
        TABLE, columns=(*TABLE.columns[:2], replace(TABLE.columns[2], maximum=0.2), *TABLE.columns[3:])
    )
    with pytest.raises(
        DataContractError, match=r"Great Expectations: score must lie in \[0, 0\.2\], got 0\.25"
    ):
        lake.append(TABLE, frame(), audits=[quality_audit(stricter, settings, suite="scores")])
    assert lake.version(TABLE.name) == 1
    lake.append(TABLE, frame(), audits=[quality_audit(TABLE, settings, suite="scores")])
    assert lake.version(TABLE.name) == 2


def test_a_large_table_is_sampled_by_key_and_the_docs_say_so(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quality, "SAMPLE_ROWS", 100)
    condition = sample_condition(TABLE, 5000, 100)
    audit = quality_audit(replace(TABLE, name="predictions/large"), settings)
    monkeypatch.setattr(quality, "sample_condition", lambda table, rows: condition)
    Lake(tmp_path / "lake").append(TABLE, frame(5000), audits=[audit])
    stored = json.loads((settings.var / "gx" / "results" / "predictions_large.json").read_text())
    assert stored["rows"] == 5000
    assert 50 < stored["checked"] < 200
    (page,) = (docs_dir(settings) / "expectations").rglob("predictions_large.html")
    assert f"{stored['checked']} of 5,000 rows were looked at" in page.read_text()


def test_docs_show_the_latest_result_and_load_nothing_from_elsewhere(settings: Settings) -> None:
    validate(TABLE, frame(score=[2.0] * 4), settings=settings)
    validate(TABLE, frame(), settings=settings)
    validate(replace(TABLE, name="raw/other"), frame(), settings=settings)
    site = docs_dir(settings)
    pages = list(site.rglob("*.html"))
    assert len(list((site / "validations").rglob("*.html"))) == 2
    assert "predictions_example" in (site / "index.html").read_text()
    remote = re.compile(r"<(?:link|script|img)[^>]*(?:src|href)=[\"']https?://", re.IGNORECASE)
    assert [page.name for page in pages if remote.search(page.read_text())] == []
