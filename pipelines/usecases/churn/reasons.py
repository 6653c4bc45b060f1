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
from models.explanation.wording import (
    Category,
    Change,
    Flag,
    Level,
    Template,
    Texts,
    Trend,
    earlier,
    without_change,
)

_YOUNG_4W = "signed up less than four weeks ago: no trend of use yet"
_YOUNG_8W = "signed up less than eight weeks ago: no trend of use over eight weeks yet"
_YOUNG_12W = "signed up less than twelve weeks ago: no trend of use over twelve weeks yet"


def _count(feature: str, topic: str, noun: str, when: str, *, worse: int) -> Level:
    """How often something happened."""
    many, one, none = f"{{}} {noun}s {when}", f"1 {noun} {when}", f"no {noun} {when}"
    return Level(feature, topic, many, one=one, zero=none, worse=worse)


TEMPLATES: tuple[Template, ...] = (
    Category("plan_tier", "plan", "plan"),
    Category("billing_period", "plan", "billing"),
    Category("size_band", "company", "staff"),
    Category("sector", "company", "sector"),
    Category("country", "company", "country"),
    # The trends add 1 login (a week) or 4 (four weeks) to both terms: see the feature table.
    # Trends are divided by the day's median over all accounts, which takes out holidays and seasons.
    Change(
        "usage_trend_4w_vs_all", "trend of use", "weekly logins", "in four weeks", now="logins_7d",
        before=earlier("usage_trend_4w", "logins_7d", 1), missing=_YOUNG_4W, trend="usage_trend_4w",
    ),
    Trend(
        "minutes_trend_4w_vs_all", "trend of use", "time in the product", "over four weeks", _YOUNG_4W,
        trend="minutes_trend_4w",
    ),
    Change(
        "usage_trend_8w_vs_all", "trend of use", "logins in four weeks", "against the four weeks before",
        now="logins_28d", before=earlier("usage_trend_8w", "logins_28d", 4), missing=_YOUNG_8W,
        trend="usage_trend_8w",
    ),
    Change(
        "usage_trend_12w_vs_all", "trend of use", "logins in four weeks", "against eight weeks earlier",
        now="logins_28d", before=earlier("usage_trend_12w", "logins_28d", 4), missing=_YOUNG_12W,
        trend="usage_trend_12w",
    ),
    Level(
        "days_since_last_login", "last login", "last login {} days ago", one="last login yesterday",
        form="{} days", worse=1, ceiling=365, at_ceiling="no login in a year",
    ),
    _count("logins_7d", "amount of use", "login", "in the last 7 days", worse=-1),
    _count("logins_28d", "amount of use", "login", "in the last four weeks", worse=-1),
    _count("logins_prev_28d", "amount of use", "login", "in the four weeks before the last four", worse=-1),
    Level(
        "minutes_28d", "amount of use", "{} minutes in the product in the last four weeks",
        one="1 minute in the product in the last four weeks",
        zero="no time in the product in the last four weeks", form="{} min", worse=-1,
    ),
    Level(
        "minutes_prev_28d", "amount of use", "{} minutes in the product in the four weeks before the last four",
        one="1 minute in the product in the four weeks before the last four",
        zero="no time in the product in the four weeks before the last four", form="{} min", worse=-1,
    ),
    Level(
        "active_days_28d", "amount of use", "active on {} of the last 28 days",
        zero="active on none of the last 28 days", worse=-1,
    ),
    _count("features_used_28d", "breadth of use", "product feature", "used in four weeks", worse=-1),
    Level(
        "activation_score_28d", "breadth of use", "{} % of the key features used in four weeks",
        zero="none of the key features used in four weeks", form="{} %", scale=100, worse=-1,
    ),
    _count("tickets_30d", "tickets", "support ticket", "in 30 days", worse=1),
    _count("tickets_90d", "tickets", "support ticket", "in 90 days", worse=1),
    _count("urgent_tickets_90d", "tickets", "urgent ticket", "in 90 days", worse=1),
    Level(
        "open_tickets", "tickets", "{} support tickets still open", one="1 support ticket still open",
        zero="no support ticket open", worse=1,
    ),
    Level(
        "csat_mean_90d", "satisfaction", "support rated {} of 5 on average in 90 days", digits=1, worse=-1,
        missing="no rating of support in 90 days",
    ),
    Level(
        "csat_answers_90d", "satisfaction", "{} ratings of support in 90 days",
        one="1 rating of support in 90 days", zero="no rating of support in 90 days",
    ),
    Level(
        "late_payments_180d", "payment", "{} invoices paid late or overdue in 180 days",
        one="1 invoice paid late or overdue in 180 days", zero="no invoice paid late or overdue in 180 days", worse=1,
    ),
    _count("failed_payments_90d", "payment", "failed debit", "in 90 days", worse=1),
    _count("disputes_180d", "payment", "disputed invoice", "in 180 days", worse=1),
    Level(
        "unpaid_eur", "payment", "{} EUR overdue and unpaid", zero="nothing overdue", form="{} EUR", worse=1,
    ),
    Level(
        "days_payment_delay_mean_180d", "payment", "invoices paid {} days late on average in 180 days",
        zero="invoices of the last 180 days paid in time", missing="no invoice paid in 180 days", form="{} days",
        digits=1, worse=1,
    ),
    Level(
        "tenure_days", "time as a customer", "customer for {} days", one="customer for 1 day",
        zero="customer since today", missing="no paid term has begun", form="{} days",
    ),
    Level(
        "days_to_renewal", "renewal", "the running term ends in {} days", one="the running term ends tomorrow",
        missing="no paid term is running", form="{} days",
    ),
    Flag(
        "term_ends_within_30d", "renewal", "the term ends within 30 days",
        "the term does not end within 30 days", "no paid term is running", worse=1,
    ),
    Flag(
        "renewal_booked", "renewal", "the renewal is booked", "the renewal is not booked yet",
        "no paid term is running", worse=-1,
    ),
    Flag("is_annual", "plan", "billed annually", "billed monthly", "no paid term is running"),
    Level(
        "seats", "contract size", "{} seats", one="1 seat", missing="no paid term is running",
    ),
    Change(
        "seats_change_365d", "contract size", "seats", "within a year",
        now="seats", before=without_change("seats", "seats_change_365d"), missing="no paid term is running",
    ),
    Level(
        "mrr_eur", "contract size", "{} EUR a month", zero="no monthly charge",
        missing="no paid term is running", form="{} EUR",
    ),
    Change(
        "mrr_change_365d", "contract size", "the monthly charge", "within a year", now="mrr_eur",
        before=without_change("mrr_eur", "mrr_change_365d"), unit=" EUR", missing="no paid term is running",
    ),
    Level(
        "tier_changes_365d", "plan", "{} changes of plan in a year", one="1 change of plan in a year",
        zero="no change of plan in a year",
    ),
    _count("tier_downgrades_365d", "plan", "downgrade", "in a year", worse=1),
    Level(
        "reactivations", "time as a customer", "came back {} times after leaving",
        one="came back 1 time after leaving", zero="never left before",
    ),
    Level(
        "employees", "company", "{} employees", one="1 employee", missing="number of employees not known",
    ),
    Level(
        "company_age_years", "company", "company founded {} years ago", one="company founded 1 year ago",
        missing="age of the company not known", form="{} years",
    ),
)  # fmt: skip

#: Column that says who an account is compared with.
PEERS = "size_band"

_BY_FEATURE: Mapping[str, Template] = {template.feature: template for template in TEMPLATES}
_DIRECTION = {1: "raises", -1: "lowers", 0: "neutral"}
_PREFIX = {1: "", -1: "Lowers the risk: ", 0: "Without much effect: "}


@dataclass(frozen=True)
class Reasons:
    """Reasons of many accounts, in the order of the rows."""

    #: Sentences by place, best reason first, each of shape (n,); never null, at most 255 characters.
    texts: list[Texts]
    #: What they say, as a JSON list per account, shape (n,): ``theme``, ``feature``, ``value`` (null if
    #: missing), ``peer`` (median of the peers, or their share with the same value; null if there is none),
    #: ``peers`` (who they are), ``contribution`` (log-odds of the feature), ``direction`` (``raises``,
    #: ``lowers`` or ``neutral``), and for changes ``now`` and ``before`` (null beyond the trend's cap).
    facts_json: Texts


def word_reasons(
    frame: pd.DataFrame, contributions: NDArray[np.float64], themes: Mapping[str, str], *, top: int = 3
) -> Reasons:
    """Choose and word the ``top`` reasons of each row.

    ``frame`` has all features and ``size_band`` of n accounts on one ``as_of``; ``contributions`` are
    log-odds of shape (n, n_features) in the order of ``themes``, the theme of each feature. Features are
    worded one by one for all accounts that tell them: there is no loop over rows. Raises ``ValueError`` if
    shapes disagree, a column is missing, or rows of several days are mixed.
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
    peer_values = {t.feature: t.usual(columns, peers) for t in templates}
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
