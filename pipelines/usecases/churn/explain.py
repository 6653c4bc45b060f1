"""Churn, explanation of one score: for the person who asks why."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset

from features.pseudonyms import pseudonymise
from models.explanation.contributions import by_theme, contributions_and_bias
from pipelines.errors import DataContractError
from pipelines.io.lake import Lake
from pipelines.io.registry import Registry
from pipelines.settings import Settings
from pipelines.usecases.churn.contracts import USECASE, features_contract
from pipelines.usecases.churn.dataset import model_features, model_frame, read_scope
from pipelines.usecases.churn.schemas import OUT_OF_SCOPE, SCORES


def run(as_of: date, account: str, *, settings: Settings | None = None) -> dict[str, Any]:
    """Explain the score of an account.

    Parameters
    ----------
    account
        Natural id or pseudonym.

    Returns
    -------
    dict
        Score, rank, level, reasons with their facts, action, and what each theme adds in log-odds to
        the model's average account. For an account out of scope, why it has no score.

    Raises
    ------
    DataContractError
        The account was not scored on that day, or nobody was.
    """
    settings = settings or Settings.load()
    lake = Lake.of(settings)
    hashed = pseudonymise(pa.array([account]), key=settings.load_pseudonym_key())[0].as_py()
    wanted = (pa_dataset.field("as_of") == as_of) & pa_dataset.field("account_key").isin([account, hashed])
    found = lake.read(SCORES, where=wanted, missing_ok=True).to_pylist()
    if not found:
        outside = lake.read(OUT_OF_SCOPE, where=wanted, missing_ok=True).to_pylist()
        if outside:
            return {"as_of": as_of, "account_key": outside[0]["account_key"], **outside[0]}
        raise DataContractError(
            f"no score of {account!r} on {as_of}: check the id, or run `millrace score churn --as-of {as_of}`"
        )
    scored = found[0]
    return {
        **{name: scored[name] for name in ("as_of", "account_key", "score", "rank", "risk_level")},
        **{name: scored[name] for name in ("reason_1", "reason_2", "reason_3", "action", "model_version")},
        "facts": json.loads(scored["reasons_json"]),
        "log_odds_by_theme": _by_theme(lake, settings, as_of, scored),
    }


def _by_theme(lake: Lake, settings: Settings, as_of: date, scored: dict[str, Any]) -> dict[str, float]:
    """Contribution of each theme, largest first, from the model that made the score."""
    registry = Registry(settings, USECASE)
    model = registry.load(registry.version(scored["model_version"].rpartition("/")[2]))
    inside, _ = read_scope(lake, as_of)
    row = inside.filter(pc.equal(inside["account_key"], scored["account_key"]))
    themes = model_features(model, row, features_contract(settings))
    values, bias = contributions_and_bias(model, model_frame(row, list(themes)))
    summed, names = by_theme(values, list(themes), themes)
    ordered = sorted(zip(names, summed[0].tolist(), strict=True), key=lambda pair: -abs(pair[1]))
    return {"average account": round(bias, 3), **{name: round(value, 3) for name, value in ordered}}
