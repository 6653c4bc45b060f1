"""Demand forecasting: coherent daily forecasts by product and store, fourteen days ahead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipelines.errors import DataContractError
from pipelines.io.lake import on_day
from pipelines.monitoring.alarms import Sentence
from pipelines.monitoring.findings import Finding
from pipelines.reporting.page import CheckStyle, FindingStyle, PageSpec, Watched
from pipelines.sinks.target import DynamoNamespace
from pipelines.usecase import Borrowed, Deferred, Explain, Mart, Plan, Record, Run, Span, UseCase
from pipelines.usecases.demand.layouts import LAYOUTS, STOCK_LAYOUTS
from pipelines.usecases.demand.params import DemandParams
from pipelines.usecases.demand.schemas import CERTIFICATES, FORECASTS, TABLES

if TYPE_CHECKING:
    from pipelines.io.dbt import DbtRun
    from pipelines.usecases.demand import checks as _checks
    from pipelines.usecases.demand import daily as _daily
    from pipelines.usecases.demand import dataset as _dataset
    from pipelines.usecases.demand import explanation as _explanation
    from pipelines.usecases.demand import page as _page
    from pipelines.usecases.demand import records as _records
    from pipelines.usecases.demand import scoring as _scoring
    from pipelines.usecases.demand import training as _training
else:
    _checks = Deferred("pipelines.usecases.demand.checks")
    _daily = Deferred("pipelines.usecases.demand.daily")
    _dataset = Deferred("pipelines.usecases.demand.dataset")
    _explanation = Deferred("pipelines.usecases.demand.explanation")
    _page = Deferred("pipelines.usecases.demand.page")
    _records = Deferred("pipelines.usecases.demand.records")
    _scoring = Deferred("pipelines.usecases.demand.scoring")
    _training = Deferred("pipelines.usecases.demand.training")


def plan(run: Run[DemandParams], training: bool) -> Plan:
    """Today and, for training, the origins that the backtest asks for."""
    return Plan(snapshots=run.params.origins(run.as_of) if training else (), parameters=run.params.sql)


def summarise(run: Run[DemandParams], built: DbtRun) -> Record:
    """Series per kind, and those out of scope per reason."""

    def counts(mart: str, column: str) -> dict[str, int]:
        rows = built.read(
            f"select {column} as kind, count(*) as series from ml.{mart} where as_of = date '{run.as_of}' "
            f"and {column} is not null group by kind order by kind"
        )
        return dict(zip(rows["kind"].to_pylist(), rows["series"].to_pylist(), strict=True))

    segments = counts("ml_demand_profile", "segment")
    return {
        "series": sum(segments.values()),
        "segments": segments,
        "fallbacks": counts("ml_demand_profile", "fallback"),
        "out_of_scope": counts("ml_demand_out_of_scope", "scope_reason"),
    }


def phrase(speaker: Finding, raised: Sequence[Finding], of_metric: Sequence[Finding]) -> Sentence:
    """The finding that speaks, and the others that raised the alarm too."""
    others = sorted((f for f in raised if f is not speaker), key=lambda f: (-f.excess, f.segment))
    if not others:
        return Sentence(speaker.message, speaker.segment_name)
    listed = ", ".join(f"{f.segment[1]} {100 * (f.value or 0):.0f} %" for f in others)
    worst = max(raised, key=lambda f: (f.segment_name != "all", f.excess))
    return Sentence(f"{speaker.message}; also {listed}", worst.segment_name)


def publishable(run: Run[DemandParams]) -> None:
    """Refuse forecasts whose certificates are missing or breached."""
    rows = run.lake.read(CERTIFICATES, where=on_day(run.as_of), missing_ok=True).to_pylist()
    allowed = CERTIFICATES.column("forecast").allowed or ()
    missing = sorted(set(allowed) - {row["forecast"] for row in rows})
    if missing:
        raise DataContractError(
            f"{CERTIFICATES.name} has no certificate of the {' and '.join(missing)} forecast for {run.as_of}: run "
            f"`{run.command('score')}` first"
        )
    breached = [f"{row['forecast']}: {row['words']}" for row in rows if not row["ok"]]
    if breached:
        raise DataContractError(
            f"the forecasts of {run.as_of} are not coherent and were not published: {'; '.join(breached)}. What served "
            "before still serves; look at the report, fix the cause, score again"
        )


USECASE = UseCase(
    name="demand",
    title="Demand",
    sentence="How much of each product each store will sell in the next 14 days.",
    params=DemandParams,
    layouts=LAYOUTS,
    # Customers are known afterwards only, so forecasts do not use them; orders read the stock themselves.
    unread=frozenset({"customers", *(layout.table.name for layout in STOCK_LAYOUTS)}),
    # Without stores, products and sales nothing can be forecast.
    optional=frozenset({"promotions", "weather_observed", "weather_forecasts", "calendar_events"}),
    borrows=(Borrowed("clustering", "predictions/store_clusters", optional=True),),
    adapters={"long": _daily.long},
    # The panel is large and can be rebuilt from the raw tables at any time.
    marts=(
        Mart("ml_demand_panel", kept=lambda params: params.panel_versions),
        Mart("ml_demand_calendar", Span.FEATURES),
        Mart("ml_demand_ahead", Span.FEATURES),
        Mart("ml_demand_out_of_scope", sparse=True),
        Mart("ml_demand_profile"),
    ),
    grain="ml_demand_profile",
    plan=plan,
    summarise=summarise,
    code=("features", "models/forecasting", "dbt_project/models"),
    read=_dataset.read_dataset,
    fit=_training.fit,
    judge=_records.judge,
    predict=_scoring.predict,
    tables=TABLES,
    results=FORECASTS,
    check=_checks.check,
    phrase=phrase,
    targets=(
        DynamoNamespace[DemandParams](
            "demand", "exp_dynamodb__demand_forecasts", params=lambda params: params.publish
        ),
    ),
    publishable=publishable,
    page=PageSpec(
        checks={
            "products": CheckStyle("Products sold on the judged days", 0, "\u2265"),
            "bias": CheckStyle("Bias, either way", 3, "\u2264"),
            "coverage_80": CheckStyle("Coverage of the 80 % intervals", 2, "\u2265"),
            "wape_against_seasonal_naive": CheckStyle("WAPE saved against last week's sales"),
            "wape_against_champion": CheckStyle("WAPE saved against the champion"),
        },
        # Promotions are delivered in advance.
        watched=(
            Watched("raw/demand_sales", "Sales", "known_at", 2),
            Watched("raw/demand_promotions", "Promotions", "announced_at", 31),
            Watched("raw/demand_weather_forecasts", "Weather forecasts", "issued_at", 2),
            Watched("features/demand_panel", "Daily history", "as_of", 1),
            Watched("features/demand_profile", "Profiles of the series", "as_of", 1),
            Watched("predictions/demand_series", "Models by series", "as_of", 8, verb="train"),
            Watched("predictions/demand_forecasts", "Forecasts", "as_of", 1),
            Watched("predictions/demand_certificates", "Certificates", "as_of", 1),
        ),
        train_days=8,
        score_days=1,
        findings=FindingStyle(
            counts=frozenset({"series"}),
            shares=frozenset(
                {"mape", "wape", "bias", "coverage_80", "coverage_95", "volume", "volume_sales", "fallbacks"}
            ),
            named=frozenset({"mape", "wape", "bias"}),
            what="The forecasts",
        ),
    ),
    sections=_page.sections,
    explain=Explain(("store", "sku"), _explanation.explain, _explanation.as_text),
)
