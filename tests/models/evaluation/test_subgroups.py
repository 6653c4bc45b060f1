"""Subgroup tables: every row in one group, few events said so."""

from __future__ import annotations

import numpy as np
import pytest

from models.evaluation.metrics import all_metrics
from models.evaluation.subgroups import subgroup_table


def data(n: int = 4000):
    rng = np.random.default_rng(0)
    tier = rng.choice(["starter", "growth"], n).astype(object)
    tier[:40] = "business"
    p = rng.beta(1, 8, n)
    return rng.random(n) < p, p, rng.integers(0, 1000, n), tier


def test_groups_add_up_and_metrics_are_those_of_the_rows():
    y, p, account, tier = data()
    table = subgroup_table(y, p, account, {"plan_tier": tier}, n_replicates=50)
    assert [line.group for line in table] == ["business", "growth", "starter"]
    assert sum(line.n for line in table) == len(y)
    assert sum(line.positives for line in table) == y.sum()
    growth = table[1]
    expected = all_metrics(y[tier == "growth"], p[tier == "growth"])
    assert {k: v.value for k, v in growth.metrics.items()} == pytest.approx(expected)
    assert growth.rate == pytest.approx(y[tier == "growth"].mean())
    assert growth.metrics["auc_pr"].low < growth.metrics["auc_pr"].value < growth.metrics["auc_pr"].high


def test_too_few_events_give_no_metrics():
    y, p, account, tier = data()
    business = subgroup_table(y, p, account, {"plan_tier": tier}, n_replicates=10)[0]
    assert business.positives < 30
    assert not business.enough
    assert business.metrics == {}


def test_missing_group_is_called_unknown():
    y, p, account, tier = data()
    sector = np.where(tier == "growth", None, "retail").astype(object)
    sector[0] = float("nan")
    table = subgroup_table(y, p, account, {"sector": sector}, n_replicates=10)
    assert [line.group for line in table] == ["retail", "unknown"]
    assert table[1].n == (tier == "growth").sum() + 1
