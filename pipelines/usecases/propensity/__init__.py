"""Bank products: who may take which product next, and three recommendations for each customer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from features.spine import monthly_snapshots
from pipelines.reporting.page import CheckStyle, FindingStyle, PageSpec, Watched
from pipelines.sinks.target import SalesforceObject
from pipelines.usecase import Checked, Explain, Mart, Output, Plan, Record, Run, Span, Trained, UseCase
from pipelines.usecases.propensity.layouts import CAMPAIGNS, LAYOUTS
from pipelines.usecases.propensity.params import PropensityParams
from pipelines.usecases.propensity.schemas import CHANCES, LISTS, OFFERS, PRODUCTS, RULES

if TYPE_CHECKING:
    from models.classification.product_propensity import ProductPropensity
    from models.evaluation.verdict import Verdict
    from pipelines.io.dbt import DbtRun
    from pipelines.io.registry import ModelVersion
    from pipelines.usecases.propensity.dataset import Past

#: Longest month: what was taken on its first day is known when it has ended.
_MONTH_DAYS = 31

#: Past days whose labels are built again with every run; several, so that a missed day heals.
_MATURED = 2


def _ended(run: Run[PropensityParams], months: int) -> list[date]:
    """Newest first Mondays of a month whose horizon is over and known, oldest first."""
    days = run.params.snapshots
    return monthly_snapshots(
        run.as_of, months=months, horizon_days=days.horizon_days + _MONTH_DAYS + days.settle_days
    )


def plan(run: Run[PropensityParams], training: bool) -> Plan:
    """Monthly snapshots for training, and labels of the newest complete ones in any case."""
    days = run.params.snapshots
    return Plan(
        snapshots=_ended(run, days.months) if training else (),
        matured=_ended(run, _MATURED),
        parameters={"settle_days": days.settle_days, "horizon_days": days.horizon_days},
    )


def summarise(run: Run[PropensityParams], built: DbtRun) -> Record:
    """Customers of the day, and those in scope."""
    query = f"""
        select count(*) as customers, count(*) filter (where in_scope) as in_scope
        from ml.ml_propensity_features where as_of = date '{run.as_of}'
    """
    [counts] = built.read(query).to_pylist()
    return dict(counts)


def read(run: Run[PropensityParams]) -> Past:
    """Read the stack of snapshots."""
    from pipelines.usecases.propensity.dataset import read_past

    return read_past(run, _ended(run, run.params.snapshots.months))


def fit(run: Run[PropensityParams], data: Past, champion: ProductPropensity | None) -> Trained:
    """Fit and judge the challenger."""
    from pipelines.usecases.propensity import training

    return training.fit(run, data, champion)


def judge(run: Run[PropensityParams], version: ModelVersion) -> Verdict:
    """Verdict on the challenger."""
    from pipelines.usecases.propensity import training

    return training.judge(run, version)


def predict(run: Run[PropensityParams], model: ProductPropensity, version: ModelVersion) -> Iterator[Output]:
    """Chances and offers."""
    from pipelines.usecases.propensity import scoring

    return scoring.predict(run, model, version)


def check(run: Run[PropensityParams]) -> Checked:
    """Findings of the day."""
    from pipelines.usecases.propensity import checks

    return checks.check(run, _ended(run, _MATURED))


def sections(run: Run[PropensityParams]) -> Mapping[str, object]:
    """Sections of the page."""
    from pipelines.usecases.propensity import page

    return page.sections(run)


def explain(run: Run[PropensityParams], keys: Sequence[str]) -> Record:
    """Offers of one customer."""
    from pipelines.usecases.propensity import scoring

    return scoring.explain(run, keys)


def explanation(record: Record) -> str:
    """The offers in words."""
    from pipelines.usecases.propensity import scoring

    return scoring.explanation(record)


USECASE = UseCase(
    name="propensity",
    title="Bank products",
    sentence="Which product each customer may take next, why, and three to offer.",
    params=PropensityParams,
    layouts=LAYOUTS,
    optional=frozenset({CAMPAIGNS.table.name}),
    marts=(Mart("ml_propensity_labels", Span.LABELS), Mart("ml_propensity_features", Span.FEATURES)),
    grain="ml_propensity_features",
    plan=plan,
    summarise=summarise,
    code=(
        "features",
        "models/classification",
        "models/recommendation",
        "models/explanation",
        "dbt_project/models",
    ),
    read=read,
    fit=fit,
    judge=judge,
    predict=predict,
    tables=(OFFERS, CHANCES, PRODUCTS, RULES, LISTS),
    results=OFFERS,
    check=check,
    targets=(
        SalesforceObject(
            object="Product_Offer__c",
            external_id="External_Id__c",
            parent="Account__r.Millrace_Account_Id__c",
            export="exp_salesforce__product_offers",
            params=lambda params: params.publish,
        ),
    ),
    page=PageSpec(
        checks={
            "takers": CheckStyle("Customers who took something", 0, "\u2265"),
            "average_precision": CheckStyle("Products that rank no better than chance", 2, "\u2264"),
            "calibration": CheckStyle("Products whose chances are off", 2, "\u2264"),
            "map3_against_popularity": CheckStyle("MAP@3 gained on popularity"),
            "coverage": CheckStyle("Products shown", 2, "\u2265"),
            "average_precision_against_champion": CheckStyle(
                "Products worse than the champion's", 2, "\u2264"
            ),
        },
        watched=(
            Watched("raw/propensity_customers", "Customers", "known_at", 31),
            Watched("raw/propensity_holdings", "Holdings", "known_at", 35),
            Watched("raw/propensity_campaigns", "Campaigns", "known_at", 31),
            Watched("features/propensity", "Features", "as_of", 7),
            Watched(PRODUCTS.name, "Out-of-time judgement", "as_of", 35, verb="train"),
            Watched(OFFERS.name, "Offers", "as_of", 7),
        ),
        train_days=35,
        score_days=7,
        findings=FindingStyle(
            shares=frozenset({"calibration", "offers"}),
            named=frozenset({"feature_shift"}),
            quiet={"feature_shift": 10},
            what="The offers",
        ),
    ),
    sections=sections,
    explain=Explain(("customer",), explain, explanation),
)
