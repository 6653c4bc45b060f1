"""Training, gate, scores and monitoring of a small grocer, from raw files to realised hits."""

from __future__ import annotations

import json
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from models.repurchase.basket import BasketCalibration
from models.repurchase.metrics import f1_of
from pipelines.errors import DataContractError, ModelGateError
from pipelines.io.promotions import read_promotions
from pipelines.io.registry import CHALLENGER, Registry
from pipelines.monitoring.schemas import MONITORING
from pipelines.monitoring.stored import read_findings
from pipelines.steps import gate, score, train
from pipelines.usecases.repurchase import USECASE, checks
from pipelines.usecases.repurchase.dataset import LABELS, read_pairs, read_waits
from pipelines.usecases.repurchase.schemas import (
    BASKET_VALIDATION,
    BASKETS,
    CURVES,
    NEXT_ORDERS,
    REALISED,
    TIMING_VALIDATION,
)
from tests.usecases.repurchase.flow.conftest import PARAMS, PAST, TODAY, Shop


def test_dates_and_lists_beat_the_rules_out_of_time(shop: Shop) -> None:
    record = shop.records["train"]
    assert record["mae_days"] < record["rules"]["median_gap"]
    assert record["f1"] > max(record["rules"]["last_order"], record["rules"]["most_frequent"])
    assert record["coverage"] == pytest.approx(0.8, abs=0.12)
    assert record["censored_trained"] > 0


def test_nothing_is_learned_from_what_the_judged_snapshot_did_not_know(shop: Shop) -> None:
    snapshots = PARAMS.origins(PAST)
    first = snapshots[-1]
    waits = read_waits(USECASE.run(PAST, shop.settings, PARAMS), snapshots)
    learned = waits.seen_until(first)
    day = pd.to_datetime(learned.keys["as_of"])
    back = ~learned.censored
    came = day[back] + pd.to_timedelta(learned.days[back], unit="D")
    assert came.max() < pd.Timestamp(first)
    assert ((day + pd.to_timedelta(learned.observed, unit="D")) <= pd.Timestamp(first)).all()
    assert learned.censored.sum() > waits.take(np.flatnonzero(waits.keys["as_of"] < first)).censored.sum()
    pairs = read_pairs(USECASE.run(PAST, shop.settings, PARAMS), snapshots).seen_until(first)
    assert len(pairs) == shop.records["train"]["pairs_trained"] > 0
    bought_on = pd.to_datetime(pairs.keys["as_of"].astype(object)) + pd.to_timedelta(pairs.days, unit="D")
    assert bought_on.max() < pd.Timestamp(first)


def test_validation_tables_hold_what_the_gate_and_the_report_need(shop: Shop) -> None:
    dates, lists, curves = (shop.rows(t, PAST) for t in (TIMING_VALIDATION, BASKET_VALIDATION, CURVES))
    assert set(dates["candidate"]) == {"challenger", "median_gap", "bgnbd"}
    assert set(lists["candidate"]) == {"challenger", "last_order", "most_frequent"}
    assert set(curves["kind"]) == {"product", "product_out_of_time", "return"}
    assert dates.groupby("candidate").size().nunique() == lists.groupby("candidate").size().nunique() == 1
    recomputed = f1_of(lists["named"], lists["hits"], lists["repeated"])
    np.testing.assert_allclose(lists["f1"], recomputed)
    assert (lists["hits"] <= np.minimum(lists["named"], lists["repeated"])).all()
    back = dates["days_to_next"].dropna()
    assert (back < dates["judged_days"].loc[back.index]).all()


def test_the_verdict_is_logged_once(shop: Shop) -> None:
    first = shop.records["gate"]
    again = gate.run(USECASE, PAST, settings=shop.settings, params=PARAMS)
    assert again == {**first, "decided_before": True}
    logged = [one for one in read_promotions(shop.lake, USECASE.name) if one.as_of == PAST]
    assert len(logged) == 1
    assert {"returns", "days_against_median_gap", "f1_against_last_order", "coverage"} <= set(
        logged[0].metrics
    )


def test_the_same_data_reuse_the_version(shop: Shop) -> None:
    again = train.run(USECASE, PAST, settings=shop.settings, params=PARAMS)
    assert again["reused"]
    assert again["model_version"] == shop.records["train"]["model_version"]


def test_the_card_says_what_it_is_for(shop: Shop) -> None:
    registry = Registry(shop.settings, USECASE.name)
    version = registry.aliased(CHALLENGER)
    assert version is not None
    card = registry.client.get_model_version(version.name, version.version).description
    assert "Not for" in card
    assert "| challenger |" in card
    model = registry.load(version)
    assert not hasattr(model.timing, "out_of_fold_")


def test_the_lists_that_serve_are_calibrated_on_the_judged_snapshots(shop: Shop) -> None:
    registry = Registry(shop.settings, USECASE.name)
    version = registry.aliased(CHALLENGER)
    assert version is not None
    basket = registry.load(version).basket
    curves = shop.rows(CURVES, PAST).query("candidate == 'challenger'")
    level = {
        kind: (rows["predicted"] @ rows["rows"]) / (rows["observed"] @ rows["rows"])
        for kind, rows in curves.groupby("kind")
    }
    assert basket.calibration != BasketCalibration()
    assert level["product"] == pytest.approx(1.0, abs=0.05)
    (logged,) = (one for one in read_promotions(shop.lake, USECASE.name) if one.as_of == PAST)
    assert logged.metrics["product_bias"] == pytest.approx(level["product_out_of_time"] - 1)


def test_every_customer_in_scope_gets_a_date_and_a_list(shop: Shop) -> None:
    scores, baskets = shop.rows(NEXT_ORDERS, TODAY), shop.rows(BASKETS, TODAY)
    scope = shop.rows("features/repurchase_customers", TODAY).query("in_scope")
    assert set(scores["customer_key"]) == set(scope["customer_key"])
    assert (scores["window_from"] <= scores["expected_on"]).all()
    assert (scores["expected_on"] <= scores["window_to"]).all()
    assert (scores["expected_on"] >= TODAY).all()
    assert (scores["window_to"] < TODAY + timedelta(days=PARAMS.horizon_days)).all()
    counts = baskets.groupby("customer_key").size()
    assert scores.set_index("customer_key")["products"].equals(
        counts.reindex(scores["customer_key"], fill_value=0).rename("products")
    )
    ranked = baskets.sort_values(["customer_key", "rank"])
    assert (ranked.groupby("customer_key")["rank"].diff().dropna() == 1).all()
    assert (ranked.groupby("customer_key")["probability"].diff().dropna() <= 0).all()
    top = ranked[ranked["rank"] <= 5].groupby("customer_key")["product_id"].agg(list)
    named = scores.set_index("customer_key")["top_products"].map(json.loads)
    assert all(named[key][: len(products)] == products for key, products in top.items())
    candidates = shop.rows("features/repurchase_candidates", TODAY)
    assert scores["candidates"].sum() == len(candidates)


def test_scoring_again_writes_the_same(shop: Shop) -> None:
    again = score.run(USECASE, TODAY, settings=shop.settings, params=PARAMS, alias="challenger")
    assert again["content_hash"] == shop.records["score"]["content_hash"]
    assert again["listed"] == shop.records["score"]["listed"]


def test_only_a_promoted_model_serves_by_default(shop: Shop) -> None:
    if shop.records["gate"]["outcome"] == "promoted":
        assert score.run(USECASE, TODAY, settings=shop.settings, params=PARAMS)["model_version"]
    else:
        with pytest.raises(ModelGateError, match="champion"):
            score.run(USECASE, TODAY, settings=shop.settings, params=PARAMS)
    with pytest.raises(DataContractError, match="no customer in scope"):
        score.run(
            USECASE, TODAY + timedelta(days=400), settings=shop.settings, params=PARAMS, alias="challenger"
        )


def test_realised_hits_are_those_of_the_raw_orders(shop: Shop) -> None:
    """Counted again in plain Python from the raw tables."""
    found = shop.rows(REALISED, PAST).set_index("group")
    scores = shop.rows(NEXT_ORDERS, PAST).set_index("customer_key")
    listed = shop.rows(BASKETS, PAST).groupby("customer_key")["product_id"].agg(set).to_dict()
    orders = shop.lake.read("raw/repurchase_orders").to_pandas()
    orders["day"] = orders["ordered_at"].dt.date
    known = pd.Timestamp(TODAY - timedelta(days=PARAMS.features.settle_days))
    orders = orders[(orders["known_at"] < pd.Timestamp(TODAY)) & (orders["ordered_at"] < known)]
    lines = shop.lake.read("raw/repurchase_order_lines").to_pandas()
    held = lines[lines["known_at"] < pd.Timestamp(TODAY)].groupby("order_id")["product_id"].agg(set).to_dict()
    returned = hits = in_window = 0
    error = 0.0
    after = orders[orders["day"] >= PAST].sort_values(["ordered_at", "order_id"])
    for key, own in after.groupby("customer_key"):
        if key not in scores.index:
            continue
        day = own["day"].iloc[0]
        returned += 1
        error += abs((day - PAST).days - scores.at[key, "expected_days"])
        in_window += scores.at[key, "window_from"] <= day <= scores.at[key, "window_to"]
        hits += len(held.get(own["order_id"].iloc[0], set()) & listed.get(key, set()))
    whole = found.loc["all"]
    assert (whole["customers"], whole["returned"], whole["in_window"]) == (len(scores), returned, in_window)
    assert whole["hits"] == hits > 0
    assert whole["absolute_error_days"] == pytest.approx(error)
    groups = found.drop("all")
    for name in ("customers", "returned", "hits", "named", "f1_sum"):
        assert groups[name].sum() == pytest.approx(whole[name])


def test_monitoring_says_what_became_of_past_predictions(shop: Shop) -> None:
    record = shop.records["monitor"]
    assert record["realised_days"] == [PAST.isoformat()]
    findings = shop.rows(MONITORING, TODAY).set_index("metric")
    metrics = {"predictions", "return_bias", "coverage", "date_error", "list_f1", "feature_shift"}
    assert metrics == set(findings.index)
    assert (findings["state"] != "not_enough_data").all()
    again = USECASE.word_alarms(TODAY, read_findings(shop.lake, "repurchase", TODAY))
    assert [alarm.as_dict() for alarm in again] == record["alarms"]


def test_predictions_that_went_wrong_raise_alarms() -> None:
    sums = {
        "customers": 1000.0, "returned": 600.0, "expected_returns": 300.0, "in_window": 200.0,
        "absolute_error_days": 6000.0, "baseline_error_days": 5000.0, "judged_lists": 600.0, "named": 3000.0,
        "hits": 100.0, "repeated": 4000.0, "f1_sum": 30.0, "expected_f1_sum": 180.0, "days": 7.0,
    }  # fmt: skip
    findings = checks.check_realised(sums, PARAMS.monitoring)
    assert {f.metric for f in findings if f.state == "alarm"} == {
        "return_bias", "coverage", "date_error", "list_f1",
    }  # fmt: skip
    few = checks.check_realised({**sums, "returned": 10.0, "judged_lists": 10.0}, PARAMS.monitoring)
    assert [f.metric for f in few if f.state == "not_enough_data"] == ["coverage", "date_error", "list_f1"]
    assert all(f.state == "not_enough_data" for f in checks.check_realised(None, PARAMS.monitoring))


def test_days_without_complete_labels_are_not_realised(shop: Shop) -> None:
    assert checks.realised_of(shop.lake, TODAY, PARAMS.horizon_days) is None
    assert shop.lake.exists(LABELS)
    assert checks.realised_of(shop.lake, PAST, PARAMS.horizon_days + 1) is None
