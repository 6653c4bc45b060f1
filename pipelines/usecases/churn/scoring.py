"""Churn, scoring: score, risk level, three reasons and an action for every account in scope; and why one is as it is."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset
from numpy.typing import NDArray

from features.pseudonyms import pseudonym
from models.classification.boosted import ChurnClassifier
from models.explanation.contributions import by_theme, contributions, contributions_and_bias
from pipelines.errors import ConfigError, DataContractError
from pipelines.io.frames import model_features, model_frame
from pipelines.io.lake import on_day
from pipelines.io.registry import ModelVersion, Registry
from pipelines.io.volume import volume_audit
from pipelines.settings import Settings
from pipelines.usecase import Output, Record, Run
from pipelines.usecases.churn.dataset import FEATURES_MART, SEGMENTS, read_scope
from pipelines.usecases.churn.params import ChurnParams, RiskLevelParams
from pipelines.usecases.churn.reasons import word_reasons
from pipelines.usecases.churn.schemas import CONTRIBUTIONS, OUT_OF_SCOPE, RISK_LEVELS, SCORES

#: Accounts whose contributions are kept for the beeswarm: evenly spread over the ranks.
_SAMPLE = 1_000


def predict(run: Run[ChurnParams], model: ChurnClassifier, version: ModelVersion) -> Iterator[Output]:
    """Score the accounts in scope."""
    inside, outside = read_scope(run)
    themes = model_features(model, inside, run.mart(FEATURES_MART))
    X = model_frame(inside, list(themes))
    score = model.predict_proba(X)[:, 1]
    contributed = contributions(model, X)
    scores = _scores(run, inside, score, contributed, themes)
    yield Output(OUT_OF_SCOPE, outside)
    yield Output(CONTRIBUTIONS, _sampled(inside, X, score, contributed, themes))
    volume = volume_audit(
        run.lake,
        SCORES,
        run.as_of,
        share=run.params.max_volume_change,
        parameter="max_volume_change",
        nothing="no account is in scope: look at the freshness of raw/churn_subscriptions",
    )
    yield Output(
        SCORES,
        scores,
        audits=[volume],
        record={
            "scored": len(scores),
            "out_of_scope": outside.num_rows,
            "levels": scores["risk_level"].value_counts(sort=False).to_dict(),
            "mean_score": round(float(score.mean()), 4) if len(score) else None,
        },
    )


def risk_levels(score: NDArray[np.float64], bounds: RiskLevelParams) -> NDArray[np.object_]:
    """Band of each score; a bound belongs to the band above it."""
    edges = [bounds.medium, bounds.high, bounds.critical]
    return np.array(RISK_LEVELS, dtype=object)[np.searchsorted(edges, score, side="right")]


def _scores(
    run: Run[ChurnParams],
    inside: pa.Table,
    score: NDArray[np.float64],
    contributed: NDArray[np.float64],
    themes: dict[str, str],
) -> pd.DataFrame:
    levels, guide = risk_levels(score, run.params.risk_levels), _action_guide(run.settings)
    reasons = word_reasons(inside.to_pandas(), contributed, themes)
    kept: pd.DataFrame = inside.select(["account_key", *SEGMENTS, "mrr_eur", "days_to_renewal"]).to_pandas()
    return kept.assign(
        score=score,
        # Equal scores are ranked by pseudonym, in which order the rows come.
        rank=pd.Series(-score).rank(method="first").astype(np.int64),
        risk_level=levels,
        **{f"reason_{place}": texts for place, texts in enumerate(reasons.texts, start=1)},
        reasons_json=reasons.facts_json,
        action=[guide[level] for level in levels],
    )


def _sampled(
    inside: pa.Table,
    X: pd.DataFrame,
    score: NDArray[np.float64],
    contributed: NDArray[np.float64],
    themes: dict[str, str],
) -> pd.DataFrame:
    """Contributions of accounts evenly spread over the ranks, one row per account and feature."""
    count = min(_SAMPLE, len(score))
    chosen = np.sort(np.argsort(score, kind="stable")[np.linspace(0, len(score) - 1, count).astype(int)])
    return pd.DataFrame(
        {
            "account_key": np.repeat(inside["account_key"].to_numpy()[chosen], len(themes)),
            "feature": np.tile(np.array(list(themes), dtype=object), count),
            "theme": np.tile(np.array(list(themes.values()), dtype=object), count),
            "value": X.iloc[chosen].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64).ravel(),
            "contribution": contributed[chosen].ravel(),
        }
    )


def _action_guide(settings: Settings) -> dict[str, str]:
    """Read the action per risk level from the seed table that customer success edits.

    Raises ``ConfigError`` if a level has no action.
    """
    path = settings.dbt_project / "seeds" / "churn_action_guide.csv"
    with path.open(newline="") as file:
        guide = {row["risk_level"]: f"{row['title']}: {row['text']}" for row in csv.DictReader(file)}
    missing = [level for level in RISK_LEVELS if level not in guide]
    if missing:
        raise ConfigError(f"{path.name} must have an action for every risk level, missing: {missing}")
    return guide


def explain(run: Run[ChurnParams], keys: Sequence[str]) -> Record:
    """Explain the score of an account, named by natural id or pseudonym.

    Returns score, rank, level, reasons with their facts, action, and what each theme adds in log-odds to the
    model's average account; for an account out of scope, why it has no score. Raises ``DataContractError`` if
    the account was not scored on that day, or nobody was.
    """
    [account], as_of, lake = keys, run.as_of, run.lake
    hashed = pseudonym(account, key=run.settings.load_pseudonym_key())
    wanted = on_day(as_of) & pa_dataset.field("account_key").isin([account, hashed])
    found = lake.read(SCORES, where=wanted, missing_ok=True).to_pylist()
    if not found:
        outside = lake.read(OUT_OF_SCOPE, where=wanted, missing_ok=True).to_pylist()
        if outside:
            return {"as_of": as_of, "account_key": outside[0]["account_key"], **outside[0]}
        raise DataContractError(
            f"no score of {account!r} on {as_of}: check the id, or run `{run.command('score')}`"
        )
    scored = found[0]
    return {
        **{name: scored[name] for name in ("as_of", "account_key", "score", "rank", "risk_level")},
        **{name: scored[name] for name in ("reason_1", "reason_2", "reason_3", "action", "model_version")},
        "facts": json.loads(scored["reasons_json"]),
        "log_odds_by_theme": _by_theme(run, scored),
    }


def _by_theme(run: Run[ChurnParams], scored: Record) -> dict[str, float]:
    """Contribution of each theme, largest first, from the model that made the score."""
    registry = Registry(run.settings, run.usecase)
    model = registry.load(registry.version(scored["model_version"].rpartition("/")[2]))
    inside, _ = read_scope(run)
    row = inside.filter(pc.equal(inside["account_key"], scored["account_key"]))
    themes = model_features(model, row, run.mart(FEATURES_MART))
    values, bias = contributions_and_bias(model, model_frame(row, list(themes)))
    summed, names = by_theme(values, list(themes), themes)
    ordered = sorted(zip(names, summed[0].tolist(), strict=True), key=lambda pair: -abs(pair[1]))
    return {"average account": round(bias, 3), **{name: round(value, 3) for name, value in ordered}}


def explanation(record: Record) -> str:
    """Word an explanation for the person who asks why."""
    if "score" not in record:
        return f"Account {record['account_key']} got no score on {record['as_of']}: {record['scope_reason']}."
    reasons = [record[f"reason_{number}"] for number in (1, 2, 3)]
    themes = record["log_odds_by_theme"]
    return "\n".join(
        [
            f"{record['score']:.1%} chance that account {record['account_key']} leaves within 30 days of "
            f"{record['as_of']}: {record['risk_level']} risk, rank {record['rank']:,}.",
            "Why:",
            *(f"  - {reason}" for reason in reasons),
            f"What to do: {record['action']}",
            "What moves the score (log-odds; above 0 raises it):",
            *(f"  {value:+7.2f}  {theme.replace('_', ' ')}" for theme, value in themes.items()),
            f"Model {record['model_version']}.",
        ]
    )
