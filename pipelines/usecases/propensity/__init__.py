"""Bank products: who may take which product next, and three recommendations for each customer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.reporting.page import CheckStyle, FindingStyle, PageSpec, Watched
from pipelines.sinks.target import SalesforceObject
from pipelines.usecase import Deferred, Explain, Mart, Plan, Record, Run, Span, UseCase
from pipelines.usecases.propensity.layouts import CAMPAIGNS, LAYOUTS
from pipelines.usecases.propensity.params import PropensityParams
from pipelines.usecases.propensity.schemas import CHANCES, LISTS, OFFERS, PRODUCTS, RULES

if TYPE_CHECKING:
    from pipelines.io.dbt import DbtRun
    from pipelines.usecases.propensity import checks as _checks
    from pipelines.usecases.propensity import dataset as _dataset
    from pipelines.usecases.propensity import page as _page
    from pipelines.usecases.propensity import scoring as _scoring
    from pipelines.usecases.propensity import training as _training
else:
    _checks = Deferred("pipelines.usecases.propensity.checks")
    _dataset = Deferred("pipelines.usecases.propensity.dataset")
    _page = Deferred("pipelines.usecases.propensity.page")
    _scoring = Deferred("pipelines.usecases.propensity.scoring")
    _training = Deferred("pipelines.usecases.propensity.training")


def plan(run: Run[PropensityParams], training: bool) -> Plan:
    """Monthly snapshots for training, and labels of the newest complete ones in any case."""
    days = run.params.snapshots
    return Plan(
        snapshots=run.params.origins(run.as_of) if training else (),
        matured=run.params.matured(run.as_of),
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
    read=_dataset.read_past,
    fit=_training.fit,
    judge=_training.judge,
    predict=_scoring.predict,
    tables=(OFFERS, CHANCES, PRODUCTS, RULES, LISTS),
    results=OFFERS,
    check=_checks.check,
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
    sections=_page.sections,
    explain=Explain(("customer",), _scoring.explain, _scoring.explanation),
)
