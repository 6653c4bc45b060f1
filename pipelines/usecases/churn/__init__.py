"""Churn of a B2B SaaS: who is about to leave, why, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from features.spine import matured_mondays
from pipelines.monitoring.alarms import Sentence
from pipelines.monitoring.findings import Finding, percent
from pipelines.monitoring.schemas import ALL
from pipelines.reporting.page import CheckStyle, FindingStyle, PageSpec, Watched
from pipelines.sinks.target import SalesforceObject
from pipelines.usecase import Deferred, Explain, Mart, Plan, Record, Run, Span, UseCase
from pipelines.usecases.churn.layouts import LAYOUTS
from pipelines.usecases.churn.params import ChurnParams
from pipelines.usecases.churn.schemas import CONTRIBUTIONS, OUT_OF_SCOPE, SCORES, VALIDATION

if TYPE_CHECKING:
    from pipelines.io.dbt import DbtRun
    from pipelines.usecases.churn import checks as _checks
    from pipelines.usecases.churn import dataset as _dataset
    from pipelines.usecases.churn import page as _page
    from pipelines.usecases.churn import scoring as _scoring
    from pipelines.usecases.churn import training as _training
else:
    _checks = Deferred("pipelines.usecases.churn.checks")
    _dataset = Deferred("pipelines.usecases.churn.dataset")
    _page = Deferred("pipelines.usecases.churn.page")
    _scoring = Deferred("pipelines.usecases.churn.scoring")
    _training = Deferred("pipelines.usecases.churn.training")

#: Past score days whose labels are built again with every run; several, so that a missed week heals.
_MATURED_WEEKS = 2


#: Checks of the gate as people call them.
_CHECKS = {
    "positives": CheckStyle("Accounts that churned", 0, "\u2265"),
    "auc_pr": CheckStyle("AUC-PR"),
    "recall_at_top20": CheckStyle("Recall@top 20 %"),
    "scoring_seconds": CheckStyle("Seconds to score 15,000 accounts", 1, "<"),
    "auc_pr_against_logistic": CheckStyle("AUC-PR gain over logistic regression"),
    "auc_pr_against_usage_trend": CheckStyle("AUC-PR gain over usage trend alone"),
    "auc_pr_against_champion": CheckStyle("AUC-PR gain over the champion"),
    "recall_at_top20_against_champion": CheckStyle("Recall gain over the champion"),
}

_WATCHED = (
    Watched("raw/churn_accounts", "Accounts", "known_at", 31),
    Watched("raw/churn_subscriptions", "Subscriptions", "known_at", 7),
    Watched("raw/churn_usage_events", "Usage events", "known_at", 2),
    Watched("raw/churn_invoices", "Invoices", "known_at", 7),
    Watched("raw/churn_support_tickets", "Support tickets", "known_at", 7),
    Watched("features/churn", "Features", "as_of", 7),
    Watched(VALIDATION.name, "Out-of-time predictions", "as_of", 35, verb="train"),
    Watched(SCORES.name, "Scores", "as_of", 7),
)


def plan(run: Run[ChurnParams], training: bool) -> Plan:
    """Build monthly snapshots for training, and labels of the newest complete Mondays in any case."""
    horizon = run.params.snapshots.horizon_days
    return Plan(
        snapshots=run.params.origins(run.as_of) if training else (),
        matured=matured_mondays(run.as_of, weeks=_MATURED_WEEKS, horizon_days=horizon),
    )


def summarise(run: Run[ChurnParams], built: DbtRun) -> Record:
    """Accounts of the day, and labels built."""
    query = f"""
        select count(*) as accounts, cast(coalesce(sum(cast(in_scope as integer)), 0) as bigint) as in_scope,
            (select count(*) from ml.ml_churn_labels) as labels
        from ml.ml_churn_features where as_of = date '{run.as_of}'
    """
    [counts] = built.read(query).to_pylist()
    return dict(counts)


def phrase(speaker: Finding, raised: Sequence[Finding], of_metric: Sequence[Finding]) -> Sentence:
    """The finding on all accounts, with the segment that moved most beside it."""
    if speaker.segment_name != ALL:
        return Sentence(f"{speaker.segment_name}: {speaker.message}", speaker.segment_name)
    if speaker.metric == "feature_shift" and len(raised) > 1:
        return Sentence(f"{speaker.message}; and {len(raised) - 1} more features moved", ALL)
    segments = [f for f in of_metric if f.segment_name != ALL and f.value is not None]
    if not segments:
        return Sentence(speaker.message, ALL)
    worst = max(segments, key=lambda f: f.excess)
    moved = f"{worst.segment_name} moved most ({percent(worst.value or 0.0)})"
    return Sentence(f"{speaker.message}; {moved}", worst.segment_name)


USECASE = UseCase(
    name="churn",
    title="Churn",
    sentence="Who is about to leave, why, and what to do about it.",
    params=ChurnParams,
    layouts=LAYOUTS,
    marts=(Mart("ml_churn_features", Span.FEATURES), Mart("ml_churn_labels", Span.LABELS)),
    grain="ml_churn_features",
    plan=plan,
    summarise=summarise,
    code=("features", "models", "dbt_project/models"),
    read=_dataset.read_training,
    fit=_training.fit,
    judge=_training.judge,
    predict=_scoring.predict,
    tables=(SCORES, OUT_OF_SCOPE, CONTRIBUTIONS, VALIDATION),
    results=SCORES,
    check=_checks.check,
    phrase=phrase,
    targets=(
        SalesforceObject(
            object="Churn_Score__c",
            external_id="External_Id__c",
            parent="Account__r.Millrace_Account_Id__c",
            export="exp_salesforce__churn_scores",
            params=lambda params: params.publish,
        ),
    ),
    page=PageSpec(
        checks=_CHECKS,
        watched=_WATCHED,
        train_days=35,
        score_days=7,
        findings=FindingStyle(
            counts=frozenset({"predictions"}),
            named=frozenset({"feature_shift"}),
            quiet={"feature_shift": 10},
            what="The scores",
        ),
    ),
    sections=_page.sections,
    explain=Explain(("account",), _scoring.explain, _scoring.explanation),
)
