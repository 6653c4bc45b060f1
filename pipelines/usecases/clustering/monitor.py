"""Clustering, monitoring: whether the groups still fit the stores, and whether the stores still fit their groups."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import date
from typing import Any

import pandas as pd
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset

from pipelines.io.lake import Lake
from pipelines.monitoring.alarms import Alarm, Sentence, raise_alarms
from pipelines.monitoring.checks import check_drift
from pipelines.monitoring.findings import Finding, percent
from pipelines.monitoring.schemas import ALL, Severity, State
from pipelines.monitoring.stored import read_findings, store_findings
from pipelines.settings import Settings
from pipelines.usecases.clustering.contracts import USECASE
from pipelines.usecases.clustering.dataset import WATCHED, read_stores
from pipelines.usecases.clustering.params import ClusteringParams
from pipelines.usecases.clustering.schemas import CLUSTERS, MIGRATIONS, STABILITY

log = logging.getLogger(__name__)

#: Excess of the share of atypical stores over that of training that chance explains, in standard deviations.
_DEVIATIONS = 3.0

#: What an alarm means for whom, and the first thing to do, by metric.
_WORDS = {
    "stores": (
        "Stores have no group: no policy is set for them, and demand forecasts treat them as unknown.",
        "Look at the stores out of scope on the clustering page: a lost delivery of sales makes stores look closed.",
    ),
    "moved": (
        "Many stores changed their group at once: policies would change for stores that did not, and forecasts "
        "with them.",
        "Read the moves on the clustering page. One cause for all of them (a variable that a delivery changed) is "
        "to be mended first; many causes call for `millrace train clustering`.",
    ),
    "atypical": (
        "The groups no longer describe the stores: policies are made for stores that are not there any more.",
        "Look at what makes stores atypical on the clustering page, then run `millrace train clustering`.",
    ),
    "size": (
        "A group has hardly any stores: a policy of its own is not worth its cost.",
        "Run `millrace train clustering`; if the group stays, treat its stores one by one.",
    ),
    "age": (
        "Policies rest on groups that were found long ago.",
        "Run `millrace train clustering`: groups that continue keep their names.",
    ),
    "feature_shift": (
        "Stores are not like those among which the groups were found: what sets groups apart may no longer do so.",
        "Check whether a delivery changed the variable (a unit, a renamed category, missing rows); if stores changed, "
        "run `millrace train clustering`.",
    ),
}


def run(
    as_of: date, *, settings: Settings | None = None, params: ClusteringParams | None = None
) -> dict[str, Any]:
    """Check the groups of ``as_of`` and write ``ops/monitoring``; a repeated run replaces the day's rows.

    Returns
    -------
    ``as_of``, ``model_version``, ``alarms`` (see :meth:`Alarm.as_dict`) and the number of findings per state.
    """
    settings, params = settings or Settings.load(), params or ClusteringParams.load_default()
    lake = Lake.of(settings)
    rows = _on(lake, CLUSTERS, as_of)
    version = str(rows["model_version"].iloc[0]) if len(rows) else None
    findings = check_all(lake, as_of, rows, version, params)
    if version is not None:
        findings += check_drift(
            lake, version, read_stores(lake, settings, as_of).X, WATCHED, params.monitoring
        )
    alarms = _alarms(as_of, findings)
    store_findings(lake, USECASE, as_of, findings, model_version=version, alarms=alarms)
    for alarm in alarms:
        log.warning("%s alarm, %s. %s", alarm.severity, alarm.title, alarm.first_step)
    return {
        "as_of": as_of.isoformat(),
        "model_version": version,
        "alarms": [alarm.as_dict() for alarm in alarms],
        "findings": {state.value: sum(f.state is state for f in findings) for state in State},
    }


def read_alarms(lake: Lake, as_of: date) -> list[Alarm]:
    """Word the alarms of a monitored day again, from the stored findings."""
    return _alarms(as_of, read_findings(lake, USECASE, as_of))


def check_all(
    lake: Lake, as_of: date, rows: pd.DataFrame, version: str | None, params: ClusteringParams
) -> list[Finding]:
    """All findings of a day."""
    if rows.empty:
        words = f"no store has a group on {as_of}: run `millrace score clustering --as-of {as_of}`"
        return [Finding("stores", "stores", State.ALARM, words, 0.0, 1.0, Severity.CRITICAL)]
    trained = training_of(lake, as_of, version or "")
    return [
        _stores(rows),
        _moved(lake, as_of, rows, params),
        _atypical(rows, params),
        *_sizes(rows, trained, params),
        _age(as_of, trained, params),
    ]


def training_of(lake: Lake, as_of: date, version: str) -> pd.DataFrame:
    """Stability of the version that served on a day, by group; empty if its training is not kept."""
    where = (pa_dataset.field("as_of") <= as_of) & (pa_dataset.field("model_version") == version)
    rows: pd.DataFrame = lake.read(STABILITY, where=where, missing_ok=True).to_pandas()
    return rows[rows["as_of"] == rows["as_of"].max()] if len(rows) else rows


def _stores(rows: pd.DataFrame) -> Finding:
    return Finding(
        "stores", "stores", State.OK, f"{len(rows):,} stores have a group", float(len(rows)), rows=len(rows)
    )


def _moved(lake: Lake, as_of: date, rows: pd.DataFrame, params: ClusteringParams) -> Finding:
    before = int(rows["previous_cluster"].notna().sum())
    if not before:
        return Finding("moved", "moves", State.NOT_ENOUGH_DATA, "no earlier day to compare the groups with")
    where = pa_dataset.field("as_of") == as_of
    moves = lake.read(MIGRATIONS, columns=["move"], where=where, missing_ok=True)["move"]
    moved = int(pc.sum(pc.equal(moves, "moved")).as_py() or 0)
    limit = params.monitoring.max_moved_share
    words = f"{percent(moved / before)} of the stores ({moved:,}) are in another group than on the last day"
    return _limited("moved", "moves", moved / before, limit, words, before)


def _atypical(rows: pd.DataFrame, params: ClusteringParams) -> Finding:
    strange = int(rows["is_atypical"].sum())
    share, limit = strange / len(rows), params.monitoring.max_atypical_share
    words = f"{percent(share)} of the stores ({strange:,}) do not fit their group"
    noise = _DEVIATIONS * (limit * (1 - limit) / len(rows)) ** 0.5
    return _limited("atypical", "stores", share, limit, words, len(rows), noise=noise)


def _sizes(rows: pd.DataFrame, trained: pd.DataFrame, params: ClusteringParams) -> list[Finding]:
    limit = params.monitoring.min_size_share
    found = []
    names = sorted({*rows["cluster"], *trained.get("cluster", [])})
    for name in names:
        stores = int((rows["cluster"] == name).sum())
        share = stores / len(rows)
        words = f"group {name} has {percent(share)} of the stores ({stores:,})"
        small = share < limit
        found.append(
            Finding(
                "size",
                f"group {name}",
                State.ALARM if small else State.OK,
                words,
                share,
                limit,
                Severity.WARNING if small else None,
                segment=("cluster", name),
                rows=stores,
                excess=max(limit - share, 0.0),
            )
        )
    return found


def _age(as_of: date, trained: pd.DataFrame, params: ClusteringParams) -> Finding:
    if trained.empty:
        return Finding("age", "model", State.NOT_ENOUGH_DATA, "the training of these groups is not kept")
    days = (as_of - trained["as_of"].iloc[0]).days
    words = f"the groups were found {days:,} days ago"
    return _limited("age", "model", float(days), float(params.monitoring.max_age_days), words, len(trained))


def _limited(
    metric: str, subject: str, value: float, limit: float, words: str, rows: int, *, noise: float = 0.0
) -> Finding:
    broken = value > limit + noise
    return Finding(
        metric,
        subject,
        State.ALARM if broken else State.OK,
        words,
        value,
        limit,
        Severity.WARNING if broken else None,
        rows=rows,
        excess=max(value - limit, 0.0),
    )


def _on(lake: Lake, table: Any, as_of: date) -> pd.DataFrame:
    rows: pd.DataFrame = lake.read(
        table, where=pa_dataset.field("as_of") == as_of, missing_ok=True
    ).to_pandas()
    return rows


def _alarms(as_of: date, findings: Sequence[Finding]) -> list[Alarm]:
    return raise_alarms(USECASE, as_of, findings, _WORDS, _phrase)


def _phrase(speaker: Finding, raised: Sequence[Finding], of_metric: Sequence[Finding]) -> Sentence:
    others = [f.message for f in raised if f is not speaker]
    worst = max(raised, key=lambda f: (f.segment_name != ALL, f.excess))
    return Sentence("; ".join([speaker.message, *others]), worst.segment_name)
