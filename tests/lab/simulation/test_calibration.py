"""The simulated world has the churn, the signals and the true risk that it claims."""

from __future__ import annotations

import duckdb
import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from pipelines.lab.simulation.churn.rates import RATES

#: The five features of the churn mission, in its order of predictive strength, signed so that high
#: is risky; written down here independently of the feature models.
ORDER = ("usage_trend", "tickets_30d", "days_since_login", "csat_mean", "activation")

FEATURES = """
    with usage as (
        select as_of, l.account_id,
            coalesce(sum(logins) filter (used_on >= as_of - 7), 0) as last_week,
            coalesce(sum(logins) filter (used_on >= as_of - 28 and used_on < as_of - 21), 0) as week_before,
            coalesce(sum(logins) filter (used_on >= as_of - 28), 0) as logins_28d,
            coalesce(as_of - max(used_on), 365) as days_since_login,
            coalesce(len(list_filter(list_distinct(flatten(list(
                string_split(features_used, '|')) filter (used_on >= as_of - 28))),
                lambda x: x in ('dashboards', 'reports', 'integrations', 'automation', 'collaboration', 'api'))), 0)
                as activation
        from labels l left join usage_events u
            on u.account_id = l.account_id and used_on >= as_of - 84 and used_on < as_of and known_at < as_of
        group by 1, 2
    ), tickets as (
        select as_of, l.account_id, avg(csat) as csat_mean,
            count(distinct ticket_id) filter (opened_at >= as_of - interval 30 day) as tickets_30d
        from labels l left join support_tickets t
            on t.account_id = l.account_id and opened_at >= as_of - interval 90 day and known_at < as_of
        group by 1, 2
    )
    select churned, -(last_week + 1) / (week_before + 1) as usage_trend, tickets_30d, days_since_login,
        -coalesce(csat_mean, median(csat_mean) over ()) as csat_mean, -activation as activation,
        -logins_28d as logins_28d
    from labels join usage using (as_of, account_id) join tickets using (as_of, account_id)
    where as_of >= date '2023-04-01'
"""


@pytest.fixture(scope="module")
def auc(db: duckdb.DuckDBPyConnection) -> dict[str, float]:
    columns = db.execute(FEATURES).fetchnumpy()
    return {name: float(roc_auc_score(columns["churned"], columns[name])) for name in (*ORDER, "logins_28d")}


@pytest.fixture(scope="module")
def labelled(db: duckdb.DuckDBPyConnection) -> dict[str, np.ndarray]:
    return db.execute(
        "select as_of, churned, true_risk_30d as risk, state, term_end from labels"
    ).fetchnumpy()


def test_churn_in_thirty_days_is_4_2_percent(labelled: dict[str, np.ndarray]) -> None:
    assert labelled["churned"].mean() == pytest.approx(0.042, abs=0.003)
    # ... and stays so: no first year unlike the last.
    year = labelled["as_of"].astype("datetime64[Y]")
    rates = [labelled["churned"][year == one].mean() for one in np.unique(year)]
    assert len(rates) == 3
    assert max(rates) - min(rates) < 0.007


def test_the_base_stays_about_the_wanted_number(db: duckdb.DuckDBPyConnection) -> None:
    counts = db.execute("select count(*) as n from risk group by as_of").fetchnumpy()["n"]
    assert len(counts) > 90
    # 13,000 to 16,000 of 15,000.
    assert counts.min() > 13 / 15 * 3_000
    assert counts.max() < 16 / 15 * 3_000


def test_scope_of_the_truth_is_the_running_paid_terms(db: duckdb.DuckDBPyConnection) -> None:
    days = "select distinct as_of from risk"
    scope = f"""
        select as_of, account_id from ({days}), subscriptions
        where not is_trial and term_start <= as_of and term_end > as_of and known_at < as_of
    """
    truth = "select as_of, account_id from risk"
    for left, right in ((scope, truth), (truth, scope)):
        assert db.execute(f"select count(*) from (({left}) except all ({right}))").fetchall() == [(0,)]


def test_true_risk_is_calibrated(labelled: dict[str, np.ndarray]) -> None:
    """Observed churn differs from the mean true risk by sampling error only, in every band and state."""
    risk, churned = labelled["risk"], labelled["churned"].astype(float)
    edges = np.unique(np.quantile(risk[risk > 0], np.linspace(0, 1, 11)))
    groups = [np.searchsorted(edges[1:-1], risk) == band for band in range(len(edges) - 1)]
    groups = [group & (risk > 0) for group in groups]
    groups += [labelled["state"] == state for state in np.unique(labelled["state"])]
    groups += [labelled["as_of"].astype("datetime64[M]").astype(int) % 12 == month for month in range(12)]
    groups += [np.ones(len(risk), dtype=bool)]
    assert len(groups) > 20
    for group in groups:
        error = np.sqrt((risk[group] * (1 - risk[group])).sum())
        assert abs(churned[group].sum() - risk[group].sum()) < 4 * error + 1e-9


def test_who_cannot_churn_has_no_risk(labelled: dict[str, np.ndarray]) -> None:
    far = labelled["term_end"] - labelled["as_of"] > np.timedelta64(30, "D")
    assert far.sum() > 1_000
    assert (labelled["risk"][far] == 0).all()
    assert not labelled["churned"][far].any()


def test_best_reachable_performance_leaves_room_and_is_not_trivial(labelled: dict[str, np.ndarray]) -> None:
    risk, churned = labelled["risk"], labelled["churned"]
    assert 0.78 < average_precision_score(churned, risk) < 0.88
    assert 0.90 < roc_auc_score(churned, risk) < 0.98


def test_features_are_predictive_in_the_order_of_the_mission(auc: dict[str, float]) -> None:
    values = [auc[name] for name in ORDER]
    assert values == sorted(values, reverse=True), auc
    assert auc["usage_trend"] > auc["logins_28d"] + 0.04
    assert values[-1] > 0.57
    assert values[0] < 0.85


def test_everything_that_a_label_must_get_right_occurs(db: duckdb.DuckDBPyConnection) -> None:
    occurs = {
        "late renewal": "select 1 from subscriptions where not is_trial and known_at > term_start + interval 1 day",
        "annual": "select 1 from subscriptions where billing_period = 'annual'",
        "trial": "select 1 from subscriptions where is_trial",
        "converted trial": """
            select 1 from subscriptions t join subscriptions p
                on p.account_id = t.account_id and t.is_trial and not p.is_trial and p.term_start = t.term_end""",
        "reactivation": """
            select account_id from subscriptions group by 1 having count(distinct subscription_id) > 1""",
        "downgrade at renewal": """
            select 1 from subscriptions o join subscriptions n
                on n.subscription_id = o.subscription_id and n.term_start = o.term_end
                and not o.is_trial and (o.plan_tier, n.plan_tier) in (('growth', 'starter'), ('business', 'growth'))""",
        "upgrade at renewal": """
            select 1 from subscriptions o join subscriptions n
                on n.subscription_id = o.subscription_id and n.term_start = o.term_end
                and not o.is_trial and (o.plan_tier, n.plan_tier) in (('starter', 'growth'), ('growth', 'business'))""",
    }
    for what, sql in occurs.items():
        assert db.execute(f"select count(*) from ({sql})").fetchall()[0][0] >= 20, what
    ((share,),) = db.execute(
        "select avg((billing_period = 'annual')::int) from subscriptions"
        " where not is_trial and term_start <= date '2025-06-01' and term_end > date '2025-06-01'"
    ).fetchall()
    assert 0.12 < share < 0.25
    ((longest,),) = db.execute(
        "select max(date_diff('day', term_start, known_at::date)) from subscriptions"
    ).fetchall()
    assert 10 <= longest <= RATES.late_days


def test_contact_effects_only_help_the_persuadable(db: duckdb.DuckDBPyConnection) -> None:
    rows = db.execute("select persuadable, contact_effect, true_risk_30d from risk").fetchnumpy()
    persuadable = rows["persuadable"]
    assert 0.3 < persuadable.mean() < 0.4
    assert (rows["contact_effect"][~persuadable] == 0).all()
    assert (rows["contact_effect"] <= 0).all()
    assert (rows["contact_effect"] >= -rows["true_risk_30d"]).all()
    assert rows["contact_effect"][persuadable].min() < -0.3
