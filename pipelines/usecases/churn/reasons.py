"""Three reasons in words for every score, true of the account's own row and of its peers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.explanation.choice import choose
from models.explanation.peers import Peers
from pipelines.usecases.churn.facts import TEMPLATES
from pipelines.usecases.churn.wording import Category, Change, Flag, Level, Template, Texts, Trend

#: Salesforce's limit for a text field.
MAX_LENGTH = 255
#: Column that says who an account is compared with.
PEERS = "size_band"

_BY_FEATURE: Mapping[str, Template] = {template.feature: template for template in TEMPLATES}
_DIRECTION = {1: "raises", -1: "lowers", 0: "neutral"}
_PREFIX = {1: "", -1: "Lowers the risk: ", 0: "Without much effect: "}


@dataclass(frozen=True)
class Reasons:
    """Reasons of many accounts, in the order of the rows.

    Attributes
    ----------
    texts : list of ndarray of shape (n,), object
        Sentences, best reason first; never null, at most 255 characters.
    facts_json : ndarray of shape (n,), object
        What they say, as a JSON list per account: ``theme``, ``feature``, ``value`` (null if missing),
        ``peer`` (median of the peers, or their share with the same value; null if there is none),
        ``peers`` (who they are), ``contribution`` (log-odds of the feature), ``direction`` (``raises``,
        ``lowers`` or ``neutral``), and for changes ``now`` and ``before`` (null beyond the trend's cap).
    """

    texts: list[Texts]
    facts_json: Texts


def word_reasons(
    frame: pd.DataFrame,
    contributions: NDArray[np.float64],
    themes: Mapping[str, str],
    *,
    top: int = 3,
) -> Reasons:
    """Choose and word the reasons of each row.

    Parameters
    ----------
    frame : DataFrame of n rows
        The feature rows of the accounts in scope on one ``as_of``: all features and ``size_band``.
    contributions : ndarray of shape (n, n_features)
        Log-odds, columns in the order of ``themes``.
    themes : mapping of str to str
        Theme of each feature.
    top : int
        Reasons per account.

    Raises
    ------
    ValueError
        Shapes disagree, a column is missing, or rows of several days are mixed.

    Notes
    -----
    No loop over rows: features are worded one by one for all accounts that tell them.
    """
    features = list(themes)
    if contributions.shape != (len(frame), len(features)):
        raise ValueError(
            f"contributions must be of shape {(len(frame), len(features))}, got {contributions.shape}"
        )
    missing = [name for name in (*features, PEERS) if name not in frame]
    if missing:
        raise ValueError(f"frame must have all features and {PEERS!r}, missing: {missing[:5]}")
    templates = [_BY_FEATURE.get(name) or _plain(name, frame[name]) for name in features]
    needed = sorted({name for template in templates for name in template.needs})
    untold = [name for name in needed if name not in frame]
    if untold:
        raise ValueError(f"frame must have the columns that the sentences tell, missing: {untold[:5]}")
    days = set(frame["as_of"]) if "as_of" in frame else set()
    if len(days) > 1:
        raise ValueError(f"rows must be of one as_of, got {len(days)} days")

    columns = {name: _values(frame[name]) for name in needed}
    peers = Peers.of(frame[PEERS])
    who = _who(peers)
    peer_values = {t.feature: _peer_value(t, columns, peers) for t in templates}
    readings = np.zeros(contributions.shape, dtype=np.int8)
    for i, template in enumerate(templates):
        readings[:, i] = template.readings(columns, peer_values[template.feature])

    topics = [f"{themes[t.feature]}: {t.topic}" for t in templates]
    chosen = choose(contributions, topics, list(themes.values()), readings, top=top)
    texts = np.empty((len(frame), top), dtype=object)
    facts = np.empty((len(frame), top), dtype=object)
    for i, template in enumerate(templates):
        row, place = np.nonzero(chosen.feature == i)
        if not len(row):
            continue
        own = {name: values[row] for name, values in columns.items() if name in template.needs}
        peer = peer_values[template.feature][row]
        effect = chosen.effect[row, place]
        texts[row, place] = _finished(template.words(own, peer, who[row]), effect)
        facts[row, place] = _facts(
            template, themes[template.feature], own, peer, who[row], contributions[row, i], effect
        )
    lists = ["[" + ",".join(parts) + "]" for parts in facts.tolist()]
    return Reasons([texts[:, k] for k in range(top)], np.array(lists, dtype=object))


def _values(column: pd.Series) -> NDArray[Any]:
    """Numbers and flags as floats with NaN, words as objects."""
    kind = pd.api.types.infer_dtype(column, skipna=True)
    if kind in {"string", "categorical"}:
        return column.astype(object).to_numpy()
    if column.dtype == object:
        column = column.where(column.notna(), np.nan)
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def _who(peers: Peers) -> Texts:
    names = np.array(
        [
            "all accounts" if not large else "accounts of unknown size" if name == "unknown" else
            "accounts of the same size"
            for name, large in zip(peers.names, peers.large, strict=True)
        ],
        dtype=object,
    )  # fmt: skip
    return names[peers.group]


def _peer_value(template: Template, columns: Mapping[str, NDArray[Any]], peers: Peers) -> NDArray[np.float64]:
    if isinstance(template, (Category, Flag)):
        return peers.shares_alike(columns[template.feature])
    column = template.feature
    if isinstance(template, Change):
        column = template.now
    elif isinstance(template, Trend):
        column = template.trend or template.feature
    return peers.medians(columns[column])


def _finished(words: Texts, effect: NDArray[np.int8]) -> Texts:
    """Sentences with what they do to the risk, and a capital letter."""
    prefix = np.array([_PREFIX[-1], _PREFIX[0], _PREFIX[1]], dtype=object)[effect + 1]
    return np.array([text[:1].upper() + text[1:] for text in (prefix + words).tolist()], dtype=object)


def _facts(
    template: Template,
    theme: str,
    own: Mapping[str, NDArray[Any]],
    peer: NDArray[np.float64],
    who: Texts,
    contribution: NDArray[np.float64],
    effect: NDArray[np.int8],
) -> list[str]:
    """One JSON object per row; each distinct value is dumped once."""
    head = f'{{"theme":{json.dumps(theme)},"feature":{json.dumps(template.feature)},"value":'
    values = _dumped(own[template.feature], flag=isinstance(template, Flag))
    change = [""] * len(values)
    if isinstance(template, Change):
        now, before = _dumped(own[template.now]), _dumped(template.before(own))
        change = [f',"now":{a},"before":{b}' for a, b in zip(now, before, strict=True)]
    return [
        f'{head}{value}{moved},"peer":{usual},"peers":"{group}","contribution":{weight:.4f},'
        f'"direction":"{_DIRECTION[sign]}"}}'
        for value, moved, usual, group, weight, sign in zip(
            values, change, _dumped(peer), who, contribution.tolist(), effect.tolist(), strict=True
        )
    ]


def _dumped(values: NDArray[Any], *, flag: bool = False) -> NDArray[np.object_]:
    """JSON of each value: whole numbers without a decimal point, missing as null, flags as true or false."""
    codes, distinct = pd.factorize(values, use_na_sentinel=False)

    def dump(value: Any) -> str:
        if pd.isna(value):
            return "null"
        if isinstance(value, str):
            return json.dumps(value)
        if flag:
            return "true" if value else "false"
        return str(int(value)) if float(value).is_integer() else repr(float(value))

    return np.array([dump(value) for value in distinct.tolist()], dtype=object)[codes]


def _plain(feature: str, column: pd.Series) -> Template:
    """Template of a feature that nobody has written a sentence for."""
    name = feature.replace("_", " ")
    if pd.api.types.infer_dtype(column, skipna=True) in {"string", "categorical"}:
        return Category(feature, feature, name)
    return replace(Level(feature, feature, f"{name}: {{}}", digits=2), missing=f"{name}: not known")
