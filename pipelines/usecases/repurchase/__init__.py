"""Repurchase of an online grocer: when each customer orders again, and with which products."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.reporting.page import CheckStyle, FindingStyle, PageSpec, Watched
from pipelines.sinks.target import DynamoNamespace, SalesforceObject
from pipelines.usecase import Deferred, Explain, Mart, Plan, Record, Run, Span, UseCase
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
    from pipelines.io.dbt import DbtRun
    from pipelines.usecases.repurchase import checks as _checks
    from pipelines.usecases.repurchase import dataset as _dataset
    from pipelines.usecases.repurchase import page as _page
    from pipelines.usecases.repurchase import scoring as _scoring
    from pipelines.usecases.repurchase import training as _training
else:
    _checks = Deferred("pipelines.usecases.repurchase.checks")
    _dataset = Deferred("pipelines.usecases.repurchase.dataset")
    _page = Deferred("pipelines.usecases.repurchase.page")
    _scoring = Deferred("pipelines.usecases.repurchase.scoring")
    _training = Deferred("pipelines.usecases.repurchase.training")

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


def plan(run: Run[RepurchaseParams], training: bool) -> Plan:
    """Build past snapshots for training, and labels of the newest complete days in any case."""
    return Plan(
        snapshots=run.params.origins(run.as_of) if training else (),
        matured=run.params.matured(run.as_of),
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
    read=_dataset.read_past,
    fit=_training.fit,
    judge=_training.judge,
    predict=_scoring.predict,
    tables=(NEXT_ORDERS, BASKETS, TIMING_VALIDATION, BASKET_VALIDATION, CURVES, REALISED),
    results=NEXT_ORDERS,
    check=_checks.check,
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
    sections=_page.sections,
    explain=Explain(("customer",), _scoring.explain, _scoring.explanation),
)
