"""SQL decides every row, Great Expectations adds distributions and shows both, offline."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from features.schemas import Column, DType, Reference, Table, Total
from pipelines.errors import DataContractError
from pipelines.io import audit, relations
from pipelines.io.lake import Lake
from pipelines.io.quality import docs_dir, quality_audit, validate
from pipelines.settings import Settings

DAY = date(2025, 1, 6)
TABLE = Table(
    "predictions/example",
    "Scores. One row per day and account.",
    (
        Column("as_of", DType.DATE, "Day."),
        Column("account_key", DType.STRING, "Account."),
        Column("score", DType.NUMBER, "Probability.", minimum=0, maximum=1),
        Column("seats", DType.INTEGER, "Seats; null if unknown.", nullable=True, minimum=1),
        Column("level", DType.STRING, "Level.", allowed=("low", "high")),
        Column("mail", DType.STRING, "Address.", nullable=True, allowed=("none",), personal=True),
    ),
    key=("as_of", "account_key"),
    partition_by=("as_of",),
)
ACCOUNTS = Table(
    "features/accounts",
    "Accounts. One row per day and account.",
    (
        *TABLE.columns[:2],
        Column("in_scope", DType.BOOLEAN, "Whether scored."),
        replace(TABLE.columns[2], maximum=None),
    ),
    key=("as_of", "account_key"),
    partition_by=("as_of",),
)
RELATED = replace(
    TABLE,
    references=(Reference(("as_of", "account_key"), ACCOUNTS.name, where="in_scope"),),
    totals=(Total("score", ACCOUNTS.name, "in_scope"),),
)


def frame(count: int = 4, day: date = DAY, **columns: list[object]) -> pa.Table:
    values: dict[str, list[object]] = {
        "as_of": [day] * count,
        "account_key": [f"a{i}" for i in range(count)],
        "score": [0.25] * count,
        "seats": [3, *[None] * (count - 1)],
        "level": ["low"] * count,
        "mail": [None] * count,
    }
    return pa.table(
        [pa.array((values | columns)[f.name], f.type) for f in TABLE.arrow_schema], TABLE.column_names
    )


def accounts(count: int, total: float, *, outside: int = 0) -> pa.Table:
    return pa.table(
        {
            "as_of": pa.array([DAY] * (count + outside), pa.date32()),
            "account_key": [f"a{i}" for i in range(count + outside)],
            "in_scope": [True] * count + [False] * outside,
            "score": [total / count] * count + [9.0] * outside,
        }
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(var=tmp_path / "var")


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        yield con


def words(page: Path) -> str:
    text = re.sub(r"<(?:[a-zA-Z/!][^>]*)>", " ", page.read_text())
    return re.sub(r"\s+", " ", text.replace("&lt;", "<").replace("&gt;", ">"))


def test_every_broken_rule_is_named_and_shown(settings: Settings, con: duckdb.DuckDBPyConnection) -> None:
    good = validate(TABLE, con.from_arrow(frame()), settings=settings)
    assert (good.success, good.contract, good.rows) == (True, (), 4)

    bad = frame(
        account_key=["a0", "a1", "a1", "a3"],
        score=[0.5, 1.5, None, float("nan")],
        seats=[0, None, 2, 4],
        level=["low", "high", "urgent", None],
        mail=[None, "jo@example.com", None, None],
    )
    found = validate(TABLE, con.from_arrow(bad), settings=settings)
    assert not found.success
    assert sorted(re.sub(r"got (1.5|nan)", "got VALUE", problem) for problem in found.contract) == [
        "key ['as_of', 'account_key'] must be unique, got 2025-01-06, a1 (offending rows: 1)",
        "level must be one of low, high, got urgent (offending rows: 1)",
        "level must not be null (offending rows: 1)",
        "mail must be one of none (offending rows: 1)",
        "score must be <= 1, got VALUE (offending rows: 2)",
        "score must be finite, got VALUE (offending rows: 1)",
        "score must not be null (offending rows: 1)",
        "seats must be >= 1, got 0 (offending rows: 1)",
    ]
    stored = json.loads((settings.var / "gx" / "results" / "predictions_example.json").read_text())
    assert (stored["success"], stored["contract"]) == (False, list(found.contract))
    (page,) = (docs_dir(settings) / "validations").rglob("*.html")
    shown = words(page)
    assert "level must be one of low, high 1 unexpected values found. 25% of 4 total rows." in shown
    assert "urgent" in shown
    assert "jo@example.com" not in shown
    assert "seats must be >= 1" in words(docs_dir(settings) / "expectations" / "predictions_example.html")


def test_a_write_judges_its_contract_once_and_shows_the_same_outcomes(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged, lake = [], Lake.of(settings)
    rules = audit.column_rules
    monkeypatch.setattr(audit, "column_rules", lambda column: judged.append(column.name) or rules(column))
    examine = quality_audit(TABLE, settings)
    lake.replace_partition(TABLE, frame(), {"as_of": DAY}, examine=examine)
    assert judged == TABLE.column_names
    with pytest.raises(DataContractError, match=r"seats must be >= 1, got 0 \(offending rows: 1\)$"):
        lake.append(TABLE, frame(seats=[0, None, 2, 4]), examine=examine)
    (page,) = (docs_dir(settings) / "validations").rglob("*.html")
    assert "seats must be >= 1 1 unexpected values found. 25% of 4 total rows." in words(page)


def test_rows_without_their_row_elsewhere_stop_the_publication(settings: Settings) -> None:
    lake = Lake.of(settings)
    lake.append(ACCOUNTS, accounts(4, 1.0, outside=1))
    examine = quality_audit(RELATED, settings)
    lake.replace_partition(RELATED, frame(), {"as_of": DAY}, examine=examine)
    before = lake.version(TABLE.name)
    message = (
        r"previous version stays\. as_of, account_key must exist in features/accounts where in_scope, got "
        r"2025-01-06, a4 \(offending rows: 1\)"
    )
    with pytest.raises(DataContractError, match=message):
        lake.replace_partition(RELATED, frame(5, score=[0.2] * 5), {"as_of": DAY}, examine=examine)
    assert lake.version(TABLE.name) == before


def test_a_sum_that_another_table_contradicts_stops_the_publication(settings: Settings) -> None:
    lake = Lake.of(settings)
    lake.append(ACCOUNTS, accounts(4, 1.5))
    message = r"score must sum to that of features/accounts where in_scope, got 1 against 1\.5 on 2025-01-06"
    with pytest.raises(DataContractError, match=message):
        lake.append(RELATED, frame(), examine=quality_audit(RELATED, settings))
    assert not lake.exists(TABLE.name)


@pytest.mark.parametrize("moved", [False, True])
def test_a_distribution_that_moved_is_told_and_published(
    settings: Settings, moved: bool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relations.draw_samples, "__kwdefaults__", {"sample_rows": 2_000})
    steady = replace(TABLE, steady=("score", "level"))
    rng, count = np.random.default_rng(0), 5_000
    lake = Lake.of(settings)

    def day(offset: int, low: float, share: float) -> pa.Table:
        levels = np.where(rng.random(count) < share, "high", "low").tolist()
        scores = rng.uniform(low, 1, count).tolist()
        return frame(count, DAY + timedelta(offset), score=scores, level=levels)

    for offset, rows in enumerate([day(0, 0.0, 0.2), day(1, *((0.6, 0.9) if moved else (0.0, 0.2)))]):
        with caplog.at_level(logging.WARNING, "pipelines.io.quality"):
            lake.replace_partition(
                steady, rows, {"as_of": DAY + timedelta(offset)}, examine=quality_audit(steady, settings)
            )
    assert lake.version(TABLE.name) == 2
    told = [record.getMessage() for record in caplog.records]
    assert [re.sub(r"got .*", "", text) for text in told] == [
        f"predictions/example: {name} is distributed differently from 2025-01-06: its divergence must be at most "
        "0.25, "
        for name in ("score", "level")
        if moved
    ]
    (page,) = (docs_dir(settings) / "validations").rglob("*.html")
    assert "Kullback-Leibler" in words(page)


def test_docs_show_the_latest_result_and_load_nothing_from_elsewhere(
    settings: Settings, con: duckdb.DuckDBPyConnection
) -> None:
    for table, rows in (
        (TABLE, frame(score=[2.0] * 4)),
        (TABLE, frame()),
        (replace(TABLE, name="raw/other"), frame()),
    ):
        validate(table, con.from_arrow(rows), settings=settings)
    site = docs_dir(settings)
    pages = list(site.rglob("*.html"))
    assert len(list((site / "validations").rglob("*.html"))) == 2
    index = words(site / "index.html")
    assert "predictions_example" in index
    assert "raw_other" in index
    remote = re.compile(r"<(?:link|script|img)[^>]*(?:src|href)=[\"']https?://", re.IGNORECASE)
    assert [page.name for page in pages if remote.search(page.read_text())] == []
