"""Every worded reason is recomputed from the rows: its numbers, its verbs, its peers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.contracts import read_contract, read_docs
from pipelines.usecases.churn.reasons import TEMPLATES, word_reasons

DBT = Path(__file__).parents[3] / "dbt_project" / "models"
THEMES = read_contract(
    DBT / "marts" / "ml" / "_ml_churn__models.yml", "ml_churn_features", docs=read_docs(DBT)
).themes

#: Trends that the models see relative to the day's median; sentences tell the plain ones.
RELATIVE = ("usage_trend_4w", "minutes_trend_4w", "usage_trend_8w", "usage_trend_12w")

#: Numbers that belong to the sentence: windows and scales.
WINDOWS = re.compile(
    r"in (the last 7|30|90|180) days|of the last (28|180) days|of 5 on|within 30 days|would be 1"
)
PERCENT = {"activation_score_28d", "plan_tier", "sector", "country", "term_ends_within_30d"} | {
    "renewal_booked", "is_annual",
}  # fmt: skip
CHANGES = {
    "usage_trend_4w_vs_all": ("logins_7d", "week_1_of_4"),
    "usage_trend_8w_vs_all": ("logins_28d", "logins_prev_28d"),
    "usage_trend_12w_vs_all": ("logins_28d", "third_28d"),
    "seats_change_365d": ("seats", "seats_year_ago"),
    "mrr_change_365d": ("mrr_eur", "mrr_year_ago"),
}
NOUNS = {"login", "minute", "ticket", "invoice", "day", "seat", "employee", "time", "year", "rating", "debit"}
ALIKE = {"plan_tier", "sector", "country", "term_ends_within_30d", "renewal_booked", "is_annual"}


def accounts(n: int, seed: int) -> pd.DataFrame:
    """Feature rows as the feature table defines them, with the counts that it does not keep."""
    rng = np.random.default_rng(seed)
    size = rng.choice(["1-9", "10-49", "50-249", "unknown"], n, p=[0.4, 0.3, 0.2, 0.1])
    size[:2] = "250+"  # too few to be compared with
    scale = rng.gamma(1.2, 20, n) * (rng.random(n) > 0.1)
    f = pd.DataFrame({"as_of": pd.Timestamp("2025-03-03").date(), "size_band": size})
    f["logins_7d"] = rng.poisson(scale)
    f["week_1_of_4"] = rng.poisson(scale * rng.lognormal(0, 1, n))
    f["logins_28d"] = f["logins_7d"] + rng.poisson(scale * 3)
    f["logins_prev_28d"] = rng.poisson(scale * 4 * rng.lognormal(0, 1, n))
    f["third_28d"] = rng.poisson(scale * 4 * rng.lognormal(0, 1, n))
    for name, now, before, added in (
        ("usage_trend_4w", "logins_7d", "week_1_of_4", 1),
        ("usage_trend_8w", "logins_28d", "logins_prev_28d", 4),
        ("usage_trend_12w", "logins_28d", "third_28d", 4),
    ):
        trend = ((f[now] + added) / (f[before] + added)).clip(upper=10)
        f[name] = trend.where(rng.random(n) > 0.05)
    f["minutes_trend_4w"] = np.where(rng.random(n) < 0.05, np.nan, rng.lognormal(0, 0.5, n))
    for name in RELATIVE:
        f[f"{name}_vs_all"] = f[name] / f[name].median()
    f["days_since_last_login"] = np.where(rng.random(n) < 0.05, 365, rng.integers(1, 40, n))
    f["minutes_28d"] = f["logins_28d"] * rng.uniform(5, 60, n)
    f["minutes_prev_28d"] = f["logins_prev_28d"] * rng.uniform(5, 60, n)
    f["active_days_28d"] = rng.integers(0, 29, n)
    f["features_used_28d"] = rng.integers(0, 13, n)
    f["activation_score_28d"] = rng.integers(0, 7, n) / 6
    for name in ("tickets_30d", "urgent_tickets_90d", "open_tickets", "csat_answers_90d", "disputes_180d"):
        f[name] = rng.poisson(0.7, n)
    f["tickets_90d"] = f["tickets_30d"] + rng.poisson(1, n)
    f["csat_mean_90d"] = np.where(f["csat_answers_90d"] == 0, np.nan, rng.uniform(1, 5, n))
    for name in ("late_payments_180d", "failed_payments_90d", "tier_changes_365d", "tier_downgrades_365d"):
        f[name] = rng.poisson(0.5, n)
    f["reactivations"] = rng.poisson(0.3, n)
    f["unpaid_eur"] = np.where(rng.random(n) < 0.7, 0, rng.gamma(1, 900, n))
    f["days_payment_delay_mean_180d"] = np.where(rng.random(n) < 0.2, np.nan, rng.gamma(1, 3, n))
    f["tenure_days"] = rng.integers(0, 2000, n)
    f["days_to_renewal"] = rng.integers(1, 366, n)
    f["term_ends_within_30d"] = f["days_to_renewal"] <= 30
    f["renewal_booked"] = np.where(rng.random(n) < 0.1, None, rng.random(n) < 0.2)
    f["is_annual"] = rng.random(n) < 0.4
    f["seats"] = rng.integers(1, 60, n)
    f["seats_year_ago"] = np.where(rng.random(n) < 0.3, f["seats"], rng.integers(0, 60, n))
    f["seats_change_365d"] = f["seats"] - f["seats_year_ago"]
    f["mrr_eur"] = (f["seats"] * rng.choice([9.0, 19.5, 39.99], n)).round(2)
    f["mrr_year_ago"] = (f["seats_year_ago"] * 19.5).round(2)
    f["mrr_change_365d"] = f["mrr_eur"] - f["mrr_year_ago"]
    f["employees"] = np.where(rng.random(n) < 0.1, np.nan, rng.integers(1, 4000, n))
    f["company_age_years"] = np.where(rng.random(n) < 0.1, np.nan, rng.uniform(0, 60, n))
    f["plan_tier"] = rng.choice(["starter", "growth", "business"], n)
    f["sector"] = rng.choice(["retail", "logistics", "unknown", "a very long " * 12], n)
    f["country"] = rng.choice(["FR", "DE", "unknown"], n)
    return f


def contributions(n: int, seed: int) -> np.ndarray:
    """Log-odds without rhyme or reason, so that every template is used in both directions."""
    return np.random.default_rng(seed).normal(0, 0.5, (n, len(THEMES)))


@pytest.fixture(scope="module")
def told():
    frame = accounts(900, 0)
    weights = contributions(900, 1)
    return frame, weights, word_reasons(frame, weights, THEMES)


def peer_value(frame: pd.DataFrame, feature: str, row: int) -> tuple[float | None, str]:
    """The slow way: rows of the same size, their median or the share with the same value."""
    band = frame["size_band"].iloc[row]
    peers = frame[frame["size_band"] == band]
    who = "accounts of unknown size" if band == "unknown" else "accounts of the same size"
    if len(peers) < 5:
        peers, who = frame, "all accounts"
    if feature in ALIKE:
        own = frame[feature].iloc[row]
        alike = peers[feature].isna() if own is None else peers[feature] == own
        return float(alike.mean()), who
    column = CHANGES.get(feature, (feature.removesuffix("_vs_all"),))[0]
    return float(peers[column].median()), who


def numbers(text: str) -> list[tuple[float, float]]:
    """Numbers in a text, each with half a unit of its last place."""
    found = []
    for match in re.findall(r"(?<![\w-])\d[\d,]*(?:\.\d+)?", text):
        digits = len(match.partition(".")[2])
        found.append((float(match.replace(",", "")), 0.5 * 10**-digits + 1e-9))
    return found


def test_every_reason_is_true(told):
    frame, weights, reasons = told
    names = list(THEMES)
    seen = set()
    for row in range(len(frame)):
        facts = json.loads(reasons.facts_json[row])
        assert len(facts) == 3
        for place, fact in enumerate(facts):
            text, feature = reasons.texts[place][row], fact["feature"]
            seen.add(feature)
            own = frame[feature].iloc[row]
            own = None if pd.isna(own) else own
            context = f"row {row}: {text!r} {fact}"

            # The facts are those of the row, the contributions and the peers.
            assert fact["value"] == (own if own is None or isinstance(own, str) else pytest.approx(own)), (
                context
            )
            assert fact["theme"] == THEMES[feature], context
            assert fact["contribution"] == pytest.approx(weights[row, names.index(feature)], abs=6e-5)
            peer, who = peer_value(frame, feature, row)
            assert fact["peer"] == pytest.approx(peer), context
            assert fact["peers"] == who, context
            assert text.startswith("Lowers the risk: ") == (fact["direction"] == "lowers"), context
            assert text.startswith("Without much effect: ") == (fact["direction"] == "neutral"), context
            assert 0 < len(text) <= 255  # as long as a text field of Salesforce

            # The text says nothing but the facts: sentence first, peers after the semicolon.
            sentence, _, comparison = text.rpartition("; ")
            factor = 100 if feature in PERCENT else 1
            shown = numbers(comparison)
            assert comparison.startswith(who), context
            assert len(shown) == 1, context
            assert shown[0][0] == pytest.approx(peer * factor, abs=shown[0][1]), context
            check_sentence(frame.iloc[row], feature, own, sentence.lower(), factor, context)
    assert seen == set(THEMES)


def check_sentence(row, feature, own, sentence, factor, context):
    # The one sentence whose own number looks like a window.
    shown = numbers(sentence if feature == "days_to_renewal" else WINDOWS.sub("", sentence))
    if feature.endswith("_vs_all") and own is not None:
        assert ("worse than at the median account" in sentence) == (round(own, 2) < 1), context
        assert ("better than at the median account" in sentence) == (round(own, 2) > 1), context
    if feature == "days_since_last_login":
        assert (own == 365) == ("no login in a year" in sentence), context
    if own is None:
        assert re.search(r"not known|\bno\b|less than", sentence, re.IGNORECASE), context
    elif feature in CHANGES:
        now, before = (row[column] for column in CHANGES[feature])
        check_change(now, before, sentence, shown, context)
    elif isinstance(own, str):
        assert own[:59].lower() in sentence, context
    elif isinstance(own, bool | np.bool_):
        assert (" not " in sentence or "monthly" in sentence) == (not own), context
    elif feature.startswith("minutes_trend_4w"):
        own = row["minutes_trend_4w"]
        verb = "fell" if round(own, 2) < 1 else "rose" if round(own, 2) > 1 else "was steady"
        assert verb in sentence, context
        assert shown == [(pytest.approx(own, abs=0.0051), shown[0][1])], context
    elif not shown:
        assert_word_for(own, feature, sentence, context)
    else:
        assert len(shown) == 1, context
        assert shown[0][0] == pytest.approx(own * factor, abs=shown[0][1]), context
        countable = re.search(r"(?<![\d,.])([\d,.]+) (?:\w+ ){0,2}?(\w+?)(s?)\b(?: |$)", sentence)
        if countable and countable[2] in NOUNS:
            assert (countable[3] == "") == (countable[1] == "1"), context


def check_change(now, before, sentence, shown, context):
    values = [number for number, _ in shown]
    if "tenfold" in sentence:
        assert now >= 10 * before, context
        assert values == [pytest.approx(now, abs=0.5)], context
    elif "stayed" in sentence:
        assert abs(now - before) <= 1, context
        assert values == [pytest.approx(now, abs=0.5)], context
    else:
        assert ("fell" in sentence) == (now < before), context
        assert ("rose" in sentence) == (now > before), context
        assert values == [pytest.approx(before, abs=0.501), pytest.approx(now, abs=0.501)], context


def assert_word_for(own, feature, sentence, context):
    """A sentence without a number: what it says instead."""
    if feature == "days_since_last_login":
        assert ("yesterday" in sentence) == (own == 1), context
        assert ("no login in a year" in sentence) == (own == 365), context
    elif feature == "days_to_renewal":
        assert ("tomorrow" in sentence) == (own == 1), context
    else:
        assert own == 0, context
        assert re.search(r"\b(no|none|nothing|never|in time|today)\b", sentence, re.IGNORECASE), context


def test_what_reads_as_good_news_is_no_reason_to_worry(told):
    _, _, reasons = told
    for text in np.concatenate(reasons.texts):
        if not text.startswith(("Lowers", "Without")):
            assert "logins rose" not in text.lower() or "worse than at the median" in text, text
            assert not re.match(r"No (support ticket|failed debit|urgent ticket)|Nothing overdue", text), text
        if text.startswith("Lowers"):
            assert "logins fell" not in text.lower() or "better than at the median" in text, text


def test_the_example_of_the_mission():
    frame = accounts(50, 2).assign(size_band="10-49", logins_7d=38, usage_trend_4w=39 / 39)
    frame.loc[0, ["logins_7d", "usage_trend_4w", "usage_trend_4w_vs_all"]] = [12, 13 / 42, 13 / 42]
    weights = np.zeros((50, len(THEMES)))
    weights[0, list(THEMES).index("usage_trend_4w_vs_all")] = 1.0
    text = word_reasons(frame, weights, THEMES).texts[0][0]
    assert text.startswith("Weekly logins fell from 41 to 12 in four weeks")
    assert text.endswith("accounts of the same size: 38")


def test_reasons_that_raise_come_first_one_per_theme():
    frame = accounts(50, 3).assign(size_band="10-49", tickets_30d=0, usage_trend_4w=1.0, unpaid_eur=0.0)
    frame["tenure_days"] = 400
    frame.loc[0, ["tickets_30d", "usage_trend_4w", "usage_trend_4w_vs_all"]] = [5, 0.2, 0.2]
    frame.loc[0, ["unpaid_eur", "minutes_trend_4w", "minutes_trend_4w_vs_all"]] = [80.0, 0.3, 0.3]
    weights = np.zeros((50, len(THEMES)))
    for feature, weight in (
        ("usage_trend_4w_vs_all", 1.0), ("minutes_trend_4w_vs_all", 0.9), ("tickets_30d", 0.6),
        ("tenure_days", -2.0),
    ):  # fmt: skip
        weights[0, list(THEMES).index(feature)] = weight
    facts = json.loads(word_reasons(frame, weights, THEMES).facts_json[0])
    # The two trends are one topic; the strong protective fact comes after all that raise the risk.
    assert [(fact["feature"], fact["direction"]) for fact in facts] == [
        ("usage_trend_4w_vs_all", "raises"),
        ("tickets_30d", "raises"),
        ("tenure_days", "lowers"),
    ]


def test_without_any_contribution_reasons_say_so():
    frame = accounts(20, 4)
    reasons = word_reasons(frame, np.zeros((20, len(THEMES))), THEMES)
    assert all(text.startswith("Without much effect: ") for text in np.concatenate(reasons.texts))


def test_order_of_the_rows_does_not_matter(told):
    frame, weights, reasons = told
    mix = np.random.default_rng(5).permutation(len(frame))
    again = word_reasons(frame.iloc[mix], weights[mix], THEMES)
    np.testing.assert_array_equal(again.facts_json, reasons.facts_json[mix])
    for first, second in zip(reasons.texts, again.texts, strict=True):
        np.testing.assert_array_equal(second, first[mix])


def test_every_feature_of_the_table_has_a_sentence():
    assert set(THEMES) <= {template.feature for template in TEMPLATES}


def test_feature_without_a_sentence_is_named_and_shown():
    frame = accounts(20, 6).assign(new_thing=np.arange(20) / 4)
    themes = {**THEMES, "new_thing": "usage"}
    weights = np.zeros((20, len(themes)))
    weights[:, -1] = 1.0
    assert word_reasons(frame, weights, themes).texts[0][7].startswith("New thing: 1.75; accounts of ")


def test_frames_that_do_not_fit_are_refused():
    frame, weights = accounts(20, 7), np.zeros((20, len(THEMES)))
    with pytest.raises(ValueError, match=r"must be of shape \(20, \d+\), got \(20, 3\)"):
        word_reasons(frame, weights[:, :3], THEMES)
    with pytest.raises(ValueError, match=r"missing: \['tickets_30d'\]"):
        word_reasons(frame.drop(columns="tickets_30d"), weights, THEMES)
    frame.loc[0, "as_of"] = pd.Timestamp("2025-02-03").date()
    with pytest.raises(ValueError, match="one as_of, got 2 days"):
        word_reasons(frame, weights, THEMES)
