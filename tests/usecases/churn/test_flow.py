"""The same day gives the same features, scores and reasons: again, elsewhere, and after late rows."""

from __future__ import annotations

import shutil
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset
import pyarrow.parquet as pq

from pipelines.io.hashing import content_hash
from pipelines.sources.ingest import ingest
from pipelines.steps import prepare, score
from pipelines.usecases.churn import USECASE
from pipelines.usecases.churn.schemas import CONTRIBUTIONS, OUT_OF_SCOPE, SCORES

if TYPE_CHECKING:
    from tests.conftest import Deployment


def predictions(deployment: Deployment) -> dict[str, str]:
    """Hash of each table that scoring wrote for the day."""
    where = pa_dataset.field("as_of") == deployment.scored_on
    return {
        table.name: content_hash(deployment.lake.read(table, where=where), sort_by=table.key)
        for table in (SCORES, OUT_OF_SCOPE, CONTRIBUTIONS)
    }


def again(deployment: Deployment, **options: object) -> tuple[str, str]:
    """Prepare and score the day once more; hashes of features and of scores with reasons."""
    settings, params, day = deployment.settings, deployment.params(), deployment.scored_on
    prepared = prepare.run(USECASE, day, settings=settings, params=params, **options)
    scored = score.run(USECASE, day, settings=settings, params=params)
    return prepared["features_hash"], scored["content_hash"]


def hashes(deployed: Deployment) -> tuple[str, str]:
    day = deployed.scored_on
    return (
        deployed.records["prepare", day]["features_hash"],
        deployed.records["score", day]["content_hash"],
    )


def test_raw_tables_copied_elsewhere_give_the_same_scores_and_reasons(
    deployed: Deployment, working_copy: Deployment
) -> None:
    """Nothing but raw tables and the model goes along."""
    lake = Path(working_copy.lake.root)
    for made in ("features", "predictions"):
        shutil.rmtree(lake / made)
    assert again(working_copy) == hashes(deployed)
    assert predictions(working_copy) == predictions(deployed)


def test_pinned_versions_give_the_same_scores_and_reasons_after_late_rows(
    deployed: Deployment, working_copy: Deployment, tmp_path: Path
) -> None:
    """Rows that were knowable in time but delivered late change the day, unless versions are pinned."""
    delivery = tmp_path / "delivery"
    shutil.copytree(working_copy.files, delivery)
    late = late_usage(working_copy)
    pq.write_table(late, delivery / "usage_events" / "late.parquet")
    report = ingest(
        "churn", delivery, settings=working_copy.settings, ingested_at=at(date(2025, 7, 8)), quality_checks=False
    )  # fmt: skip
    landed = {table.table: table.landed for table in report.tables}
    assert landed == {name: late.num_rows if name == "usage_events" else 0 for name in landed}
    pins = working_copy.records["prepare", working_copy.scored_on]["source_versions"]
    assert working_copy.lake.version("raw/churn_usage_events") > pins["raw/churn_usage_events"]
    assert again(working_copy, pins=pins) == hashes(deployed)
    assert predictions(working_copy) == predictions(deployed)
    newest = prepare.run(
        USECASE, working_copy.scored_on, settings=working_copy.settings, params=working_copy.params()
    )
    assert newest["features_hash"] != hashes(deployed)[0]


def at(day: date) -> datetime:
    """Midnight of a day, as the lake stores it."""
    return datetime.combine(day, datetime.min.time())


def late_usage(deployment: Deployment) -> pa.Table:
    """Usage of accounts on a day of last week on which they were not seen yet."""
    day = deployment.scored_on - timedelta(days=2)
    [file] = (deployment.files / "usage_events").glob(f"{day:%Y-%m}-*.parquet")
    delivered = pq.read_table(file)
    seen = delivered.filter(pc.equal(delivered["used_on"], day))["account_id"]
    known_ids = deployment.lake.read("raw/churn_accounts", columns=["account_id"])["account_id"]
    ids = pc.unique(delivered["account_id"])
    wanted = pc.and_(
        pc.is_in(ids, value_set=known_ids.combine_chunks()),
        pc.invert(pc.is_in(ids, value_set=seen.combine_chunks())),
    )
    chosen = ids.filter(wanted).slice(0, 20)
    assert len(chosen) == 20
    known = at(day + timedelta(days=1))
    columns = {
        "account_id": chosen,
        "used_on": [day] * len(chosen),
        "logins": [30] * len(chosen),
        "duration_min": [400.0] * len(chosen),
        "features_used": ["dashboards"] * len(chosen),
        "known_at": [known] * len(chosen),
    }
    return pa.table([columns[name] for name in delivered.schema.names], schema=delivered.schema)
