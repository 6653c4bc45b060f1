"""How groups are judged: by the gate when they were found, and on every day that they are used."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset

from models.clustering.stability import DOUBTFUL
from models.evaluation.group_gate import GroupThresholds, judge_groups
from models.evaluation.verdict import Verdict
from pipelines.io.frames import by_candidate
from pipelines.io.lake import Lake, on_day, until_day
from pipelines.io.registry import ModelVersion
from pipelines.monitoring.checks import check_drift
from pipelines.monitoring.findings import Finding, held_against, percent
from pipelines.monitoring.schemas import Severity, State
from pipelines.usecase import Checked, Run
from pipelines.usecases.clustering.dataset import SUBJECTS, read_stores
from pipelines.usecases.clustering.params import ClusteringParams
from pipelines.usecases.clustering.schemas import CLUSTERS, MIGRATIONS, STABILITY, VALIDATION

#: Excess of the share of atypical stores over that of training that chance explains, in standard deviations.
_DEVIATIONS = 3.0


def judge(run: Run[ClusteringParams], version: ModelVersion) -> Verdict:
    """Judge the challenger of the day by how clear and how stable its groups are."""
    parts = by_candidate(run.lake.read(VALIDATION, where=on_day(run.as_of)), ("store_id",))
    silhouettes = {name: part["silhouette"].to_numpy().astype(np.float64) for name, part in parts.items()}
    groups = parts["challenger"]["group"].to_pandas()
    stability: pd.DataFrame = run.lake.read(STABILITY, where=on_day(run.as_of)).to_pandas()
    gate = run.params.gate
    return judge_groups(
        silhouettes.pop("challenger"),
        groups.map(stability.set_index("cluster")["jaccard"]).to_numpy(np.float64),
        champion=silhouettes.pop("champion", None),
        baselines=silhouettes,
        thresholds=GroupThresholds(
            min_stores=gate.min_stores,
            min_silhouette=gate.min_silhouette,
            min_stability=gate.min_stability,
            doubtful=DOUBTFUL,
            max_unstable_share=gate.max_unstable_share,
            level=gate.confidence,
        ),
        n_replicates=gate.bootstrap_replicates,
        seed=run.params.seed,
    )


def check(run: Run[ClusteringParams]) -> Checked:
    """Check whether the groups still fit the stores, and whether the stores still fit their groups."""
    lake, as_of, params = run.lake, run.as_of, run.params
    rows: pd.DataFrame = lake.read(CLUSTERS, where=on_day(as_of), missing_ok=True).to_pandas()
    if rows.empty:
        words = f"no store has a group on {as_of}: run `{run.command('score')}`"
        return Checked([Finding("stores", "stores", State.ALARM, words, 0.0, 1.0, Severity.CRITICAL)], None)
    version = str(rows["model_version"].iloc[0])
    trained = training_of(lake, as_of, version)
    findings = [
        _stores(rows),
        _moved(lake, as_of, rows, params),
        _atypical(rows, params),
        *_sizes(rows, trained, params),
        _age(as_of, trained, params),
        *check_drift(lake, run.usecase, version, read_stores(run).X, SUBJECTS, params.monitoring),
    ]
    return Checked(findings, version)


def training_of(lake: Lake, as_of: date, version: str) -> pd.DataFrame:
    """Stability of the version that served on a day, by group; empty if its training is not kept."""
    where = until_day(as_of) & (pa_dataset.field("model_version") == version)
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
    moves = lake.read(MIGRATIONS, columns=["move"], where=on_day(as_of), missing_ok=True)["move"]
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
    limit, found = params.monitoring.min_size_share, []
    for name in sorted({*rows["cluster"], *trained.get("cluster", [])}):
        stores = int((rows["cluster"] == name).sum())
        share = stores / len(rows)
        words = f"group {name} has {percent(share)} of the stores ({stores:,})"
        found.append(
            held_against(
                "size", f"group {name}", words, share, limit, raised=share < limit, segment=("cluster", name),
                rows=stores, excess=max(limit - share, 0.0),
            )
        )  # fmt: skip
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
    """Finding of a value with an upper limit, which may be exceeded by so much noise."""
    raised, excess = value > limit + noise, max(value - limit, 0.0)
    return held_against(metric, subject, words, value, limit, raised=raised, rows=rows, excess=excess)
