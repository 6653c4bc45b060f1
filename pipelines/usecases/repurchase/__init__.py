"""Repurchase of an online grocer: when each customer orders again, and with which products."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

from features.spine import past_origins
from pipelines.reporting.page import CheckStyle, FindingStyle, PageSpec, Watched
from pipelines.sinks.target import DynamoNamespace, SalesforceObject
from pipelines.usecase import Checked, Explain, Mart, Output, Plan, Record, Run, Span, Trained, UseCase
from pipelines.usecases.repurchase.layouts import LAYOUTS, ORDERS
from pipelines.usecases.repurchase.params import RepurchaseParams
from pipelines.usecases.repurchase.schemas import (
    BASKET_VALIDATION,
    BASKETS,
    CURVES,
    NEXT_ORDERS,
    REALISED,
    TIMING_VALIDATION,
    label,
)

if TYPE_CHECKING:
    from models.evaluation.verdict import Verdict
    from models.repurchase.next_order import NextOrderModel
    from pipelines.io.dbt import DbtRun
    from pipelines.io.registry import ModelVersion
    from pipelines.usecases.repurchase.dataset import Past

#: Past score days whose labels are built again with every run; several, so that a missed day heals.
_MATURED_DAYS = 3

#: What an alarm means for whom, and the first thing to do, by metric.
_ALARMS = {
    "predictions": (
        "Marketing would miss customers, or write to people who left long ago.",
        "Look for a lost or partial delivery of orders first (freshness on the control room page), then run "
        "`millrace ingest repurchase` and score again.",
    ),
    "return_bias": (
        "More or fewer customers come back than the probabilities say: reminders go to too many or too few.",
        "See on the repurchase page since when; if orders are complete, run repurchase_train, which estimates the "
        "waits anew.",
    ),
    "coverage": (
        "The windows are too narrow or too wide: marketing writes at the wrong time more often than it was told.",
        "Run repurchase_train; if it happens again, look at the gap calibration on the repurchase page for the "
        "customers whose habits changed.",
    ),
    "date_error": (
        "Expected days are no better than the customer's own median gap: nobody needs the model for them.",
        "Compare the realised errors on the repurchase page day by day: a jump points to a delivery, a slope to "
        "changed habits; then run repurchase_train.",
    ),
    "list_f1": (
        "Lists hold fewer products that customers buy again than they promise: the shop shows worse suggestions.",
        "Check whether product ids changed (freshness and quarantine of products and lines), then run "
        "repurchase_train.",
    ),
    "feature_shift": (
        "Customers are not like those the models learned from: dates and lists rest on the habits of others.",
        "Look for a lost or doubled delivery first (freshness and quarantine on the control room page); if customers "
        "changed, run repurchase_train.",
    ),
}

_GLOSSARY = (
    (
        "Chance of an order",
        "Calibrated probability that the customer orders within the horizon from the day on.",
    ),
    (
        "Expected on",
        "Day around which the customer comes, if at all within the horizon: before it is as likely as after it.",
    ),
    ("Window", "Days that hold 80 % of the orders of such customers: a tenth comes earlier, a tenth later."),
    (
        "List",
        "Products whose list has the highest expected F1 for this customer; it may be empty: then nothing again is the "
        "best guess.",
    ),
    (
        "F1",
        "Between 0 and 1: the harmonic mean of precision (how much of the list was bought) and recall (how much of "
        "what was bought again is on the list). An empty list scores 1 if nothing was bought again.",
    ),
    ("Bought again", "Products of an order that the customer had bought before; only these can be foretold."),
    (
        "Censored",
        "A customer who had not come back when observation ended: it took longer, we do not know how long.",
    ),
    ("Out of time", "Judged on days that lie after everything the model was fitted on."),
    ("Median gap", "Simple rule: the customer comes after the median of the days between the orders so far."),
    (
        "BG/NBD",
        "Classic model of repeat buying: customers buy at their own rate until they silently drop out.",
    ),
    ("Gains", "Share of all hits among the likeliest so many percent."),
    ("Challenger, champion", "The newest trained model; the one that serves."),
    ("Dead letter", "A row that the CRM refused for good, or too often; it needs a person."),
)

#: Simpler rules and the champion, as the gate's checks name them.
_RIVALS = ("champion", "median_gap", "bgnbd", "last_order", "most_frequent")

#: How the checks of the gate are shown.
_CHECKS = {
    "returns": CheckStyle("Returns judged", 0, "≥"),
    "coverage": CheckStyle("Returns inside their window", 3, "≥"),
    "return_bias": CheckStyle("Probabilities of a return, mean error", 3, "within ±"),
    "product_bias": CheckStyle("Probabilities of products before calibration, mean error", 3, "within ±"),
    **{f"days_against_{name}": CheckStyle(f"Days saved against {label(name)}", 2) for name in _RIVALS},
    **{f"f1_against_{name}": CheckStyle(f"F1 gained against {label(name)}", 3) for name in _RIVALS},
}

_WATCHED = (
    Watched("raw/repurchase_orders", "Orders", "known_at", 2),
    Watched("raw/repurchase_order_lines", "Order lines", "known_at", 2),
    Watched("features/repurchase_customers", "Features", "as_of", 1),
    Watched(TIMING_VALIDATION.name, "Out-of-time predictions", "as_of", 35, verb="train"),
    Watched(NEXT_ORDERS.name, "Predictions", "as_of", 1),
)


def snapshots_of(as_of: date, params: RepurchaseParams) -> list[date]:
    """Past days on which models learn, oldest first; the newest has been observed for ``observed_days``."""
    snapshots = params.snapshots
    return past_origins(
        as_of,
        origins=snapshots.count,
        spacing_days=snapshots.spacing_days,
        horizon_days=snapshots.observed_days + params.features.settle_days,
    )


def matured_days(as_of: date, params: RepurchaseParams) -> list[date]:
    """Newest days whose horizon is over and known at ``as_of``, oldest first."""
    newest = as_of - timedelta(days=params.horizon_days + params.features.settle_days)
    return [newest - timedelta(days=days) for days in range(_MATURED_DAYS)][::-1]


def plan(run: Run[RepurchaseParams], training: bool) -> Plan:
    """Build past snapshots for training, and labels of the newest complete days in any case."""
    return Plan(
        snapshots=snapshots_of(run.as_of, run.params) if training else (),
        matured=matured_days(run.as_of, run.params),
        parameters=run.params.features.model_dump(),
    )


def summarise(run: Run[RepurchaseParams], built: DbtRun) -> Record:
    """Customers and candidates of the day, and labels built."""
    query = f"""
        select count(*) as customers, cast(coalesce(sum(cast(in_scope as integer)), 0) as bigint) as in_scope,
            (select count(*) from ml.ml_repurchase_labels) as labels,
            (select count(*) from ml.ml_repurchase_labels where censored) as censored
        from ml.ml_repurchase_customers where as_of = date '{run.as_of}'
    """
    [counts] = built.read(query).to_pylist()
    return dict(counts)


def read(run: Run[RepurchaseParams]) -> Past:
    """Read the stack of snapshots."""
    from pipelines.usecases.repurchase.dataset import read_past

    return read_past(run, snapshots_of(run.as_of, run.params))


def fit(run: Run[RepurchaseParams], data: Past, champion: NextOrderModel | None) -> Trained:
    """Fit and judge the challenger."""
    from pipelines.usecases.repurchase import training

    return training.fit(run, data, champion)


def judge(run: Run[RepurchaseParams], version: ModelVersion) -> Verdict:
    """Verdict on the challenger."""
    from pipelines.usecases.repurchase import training

    return training.judge(run, version)


def predict(run: Run[RepurchaseParams], model: NextOrderModel, version: ModelVersion) -> Iterator[Output]:
    """Dates, windows and lists."""
    from pipelines.usecases.repurchase import scoring

    return scoring.predict(run, model, version)


def check(run: Run[RepurchaseParams]) -> Checked:
    """Findings of the day."""
    from pipelines.usecases.repurchase import checks

    return checks.check(run, matured_days(run.as_of, run.params))


def sections(run: Run[RepurchaseParams]) -> Mapping[str, object]:
    """Sections of the page."""
    from pipelines.usecases.repurchase import page

    return page.sections(run)


def explain(run: Run[RepurchaseParams], keys: Sequence[str]) -> Record:
    """Facts behind one prediction."""
    from pipelines.usecases.repurchase import scoring

    return scoring.explain(run, keys)


def explanation(record: Record) -> str:
    """The facts in words."""
    from pipelines.usecases.repurchase import scoring

    return scoring.explanation(record)


USECASE = UseCase(
    name="repurchase",
    title="Repurchase",
    sentence="When each customer orders again, and with which products.",
    params=RepurchaseParams,
    layouts=LAYOUTS,
    # Without lines and products, only when customers come back is predicted.
    optional=frozenset(each.table.name for each in LAYOUTS if each is not ORDERS),
    marts=(
        Mart("ml_repurchase_customers", Span.FEATURES),
        Mart("ml_repurchase_labels", Span.LABELS),
        Mart("ml_repurchase_training", Span.SNAPSHOTS),
        Mart("ml_repurchase_candidates", kept=lambda params: params.candidate_versions),
    ),
    grain="ml_repurchase_customers",
    plan=plan,
    summarise=summarise,
    code=("features", "models/repurchase", "models/forecasting/matrix.py", "dbt_project/models"),
    read=read,
    fit=fit,
    judge=judge,
    predict=predict,
    tables=(NEXT_ORDERS, BASKETS, TIMING_VALIDATION, BASKET_VALIDATION, CURVES, REALISED),
    results=NEXT_ORDERS,
    check=check,
    alarms=_ALARMS,
    targets=(
        # First what customers see: all of it changes at once.
        DynamoNamespace(
            namespace="repurchase",
            export="exp_dynamodb__repurchase_next_orders",
            params=lambda params: params.publish,
            decimals=4,
        ),
        SalesforceObject(
            object="Next_Order__c",
            external_id="External_Id__c",
            parent="Account__r.Millrace_Account_Id__c",
            export="exp_salesforce__next_orders",
            params=lambda params: params.publish,
        ),
    ),
    page=PageSpec(
        glossary=_GLOSSARY,
        checks=_CHECKS,
        watched=_WATCHED,
        train_days=35,
        score_days=1,
        findings=FindingStyle(
            counts=frozenset({"predictions"}),
            named=frozenset({"feature_shift"}),
            quiet={"feature_shift": 5},
            what="The predictions",
        ),
    ),
    sections=sections,
    explain=Explain(("customer",), explain, explanation),
)
