"""Churn, scoring: score, risk level, three reasons and an action for every account in scope."""

from __future__ import annotations

import csv
import logging
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pa_dataset
from numpy.typing import NDArray

from models.explanation.contributions import contributions
from pipelines.errors import ConfigError
from pipelines.io.audit import Audit
from pipelines.io.hashing import content_hash
from pipelines.io.lake import Lake
from pipelines.io.quality import quality_audit
from pipelines.io.registry import CHAMPION, ModelVersion, Registry
from pipelines.settings import Settings
from pipelines.usecases.churn.contracts import USECASE, features_contract
from pipelines.usecases.churn.dataset import model_features, model_frame, read_scope
from pipelines.usecases.churn.params import ChurnParams, RiskLevelParams
from pipelines.usecases.churn.reasons import word_reasons
from pipelines.usecases.churn.schemas import CONTRIBUTIONS, OUT_OF_SCOPE, RISK_LEVELS, SCORES

log = logging.getLogger(__name__)


#: Accounts whose contributions are kept for the beeswarm: evenly spread over the ranks.
_SAMPLE = 1_000


def run(
    as_of: date,
    *,
    settings: Settings | None = None,
    params: ChurnParams | None = None,
    alias: str = CHAMPION,
) -> dict[str, Any]:
    """Score ``as_of`` with the model that carries ``alias``.

    The three tables of the day are audited before they are committed; a failed audit leaves the
    tables as they were.

    Raises
    ------
    ModelGateError
        No version carries the alias.
    DataContractError
        The day has no features, or an audit failed.
    """
    settings, params = settings or Settings.load(), params or ChurnParams.load_default()
    lake, registry = Lake.of(settings), Registry(settings, USECASE)
    version = registry.serving(alias)
    model = registry.load(version)
    inside, outside = read_scope(lake, as_of)
    themes = model_features(model, inside, features_contract(settings))
    X = model_frame(inside, list(themes))
    score = model.predict_proba(X)[:, 1]
    contributed = contributions(model, X)
    scores = _scores(inside, score, contributed, themes, version, params, _action_guide(settings))

    audits = [_volume_audit(lake, as_of, params), quality_audit(SCORES, settings)]
    day, metadata = {"as_of": as_of}, {"model_version": version.label}
    lake.replace_partition(OUT_OF_SCOPE, outside, day, metadata=metadata)
    lake.replace_partition(CONTRIBUTIONS, _sampled(inside, X, score, contributed, themes), day)
    commit = lake.replace_partition(SCORES, scores, day, audits=audits, metadata=metadata)
    levels = scores["risk_level"].value_counts().to_pylist()
    return {
        "model_version": version.label,
        "scored": scores.num_rows,
        "out_of_scope": outside.num_rows,
        "levels": {level["values"]: level["counts"] for level in levels},
        "mean_score": round(float(score.mean()), 4),
        "lake_version": commit.version,
        "content_hash": content_hash(scores, sort_by=SCORES.key),
    }


def risk_levels(score: NDArray[np.float64], bounds: RiskLevelParams) -> NDArray[np.object_]:
    """Band of each score; a bound belongs to the band above it."""
    edges = [bounds.medium, bounds.high, bounds.critical]
    return np.array(RISK_LEVELS, dtype=object)[np.searchsorted(edges, score, side="right")]


def _scores(
    inside: pa.Table,
    score: NDArray[np.float64],
    contributed: NDArray[np.float64],
    themes: dict[str, str],
    version: ModelVersion,
    params: ChurnParams,
    guide: dict[str, str],
) -> pa.Table:
    # Equal scores are ranked by pseudonym, in which order the rows come.
    rank = np.empty(len(score), dtype=np.int64)
    rank[np.argsort(-score, kind="stable")] = np.arange(1, len(score) + 1)
    levels = risk_levels(score, params.risk_levels)
    reasons = word_reasons(inside.to_pandas(), contributed, themes)
    columns = {
        "as_of": inside["as_of"],
        "account_key": inside["account_key"],
        "score": score,
        "rank": rank,
        "risk_level": levels,
        "reason_1": reasons.texts[0],
        "reason_2": reasons.texts[1],
        "reason_3": reasons.texts[2],
        "reasons_json": reasons.facts_json,
        "action": [guide[level] for level in levels],
        **{name: inside[name] for name in ("plan_tier", "size_band", "sector", "mrr_eur", "days_to_renewal")},
        "model_version": [version.label] * len(score),
    }
    return pa.table(columns, schema=SCORES.arrow_schema)


def _sampled(
    inside: pa.Table,
    X: pd.DataFrame,
    score: NDArray[np.float64],
    contributed: NDArray[np.float64],
    themes: dict[str, str],
) -> pa.Table:
    """Contributions of accounts evenly spread over the ranks, one row per account and feature."""
    count = min(_SAMPLE, len(score))
    chosen = np.sort(np.argsort(score, kind="stable")[np.linspace(0, len(score) - 1, count).astype(int)])
    names = list(themes)
    values = X.iloc[chosen].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    return pa.table(
        {
            "as_of": np.repeat(inside["as_of"].to_numpy()[chosen], len(names)),
            "account_key": np.repeat(inside["account_key"].to_numpy()[chosen], len(names)),
            "feature": np.tile(np.array(names, dtype=object), count),
            "theme": np.tile(np.array(list(themes.values()), dtype=object), count),
            "value": pa.array(values.ravel(), pa.float64(), from_pandas=True),
            "contribution": contributed[chosen].ravel(),
        },
        schema=CONTRIBUTIONS.arrow_schema,
    )


def _action_guide(settings: Settings) -> dict[str, str]:
    """Read the action per risk level from the seed table that customer success edits.

    Raises
    ------
    ConfigError
        A level has no action.
    """
    path = settings.dbt_project / "seeds" / "churn_action_guide.csv"
    with path.open(newline="") as file:
        guide = {row["risk_level"]: f"{row['title']}: {row['text']}" for row in csv.DictReader(file)}
    missing = [level for level in RISK_LEVELS if level not in guide]
    if missing:
        raise ConfigError(f"{path.name} must have an action for every risk level, missing: {missing}")
    return guide


def _volume_audit(lake: Lake, as_of: date, params: ChurnParams) -> Audit:
    """Refuse a day without rows, or one whose volume left the last scored day's by too much.

    The alarm bounds of monitoring are tighter: they tell someone, this stops the commit.
    """
    earlier = lake.read(SCORES, columns=["as_of"], where=pa_dataset.field("as_of") < as_of, missing_ok=True)
    last = 0
    if earlier.num_rows:
        counts = earlier.group_by("as_of").aggregate([("as_of", "count")]).sort_by("as_of")
        last = counts["as_of_count"][-1].as_py()
    share = params.max_volume_change

    def audit(staged: Any) -> list[str]:
        rows = staged.aggregate("count(*)").fetchall()[0][0]
        if rows == 0:
            return ["no account is in scope: look at the freshness of raw/churn_subscriptions"]
        if last and abs(rows - last) > share * last:
            return [
                f"{rows} rows differ from the {last} of the last scored day by more than {share:.0%} "
                "(max_volume_change in params.yaml)"
            ]
        return []

    return audit
