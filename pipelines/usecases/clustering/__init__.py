"""Clustering: which stores are alike, what sets the groups apart, and what moved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipelines.monitoring.alarms import Sentence
from pipelines.monitoring.schemas import ALL
from pipelines.reporting.page import CheckStyle, FindingStyle, PageSpec, Watched
from pipelines.usecase import Borrowed, Deferred, Explain, Mart, Plan, Record, Run, UseCase
from pipelines.usecases.clustering.params import ClusteringParams
from pipelines.usecases.clustering.schemas import CLUSTERS, TABLES

if TYPE_CHECKING:
    from pipelines.io.dbt import DbtRun
    from pipelines.monitoring.findings import Finding
    from pipelines.usecases.clustering import dataset as _dataset
    from pipelines.usecases.clustering import describe as _describe
    from pipelines.usecases.clustering import judging as _judging
    from pipelines.usecases.clustering import page as _page
    from pipelines.usecases.clustering import scoring as _scoring
    from pipelines.usecases.clustering import training as _training
else:
    _dataset = Deferred("pipelines.usecases.clustering.dataset")
    _describe = Deferred("pipelines.usecases.clustering.describe")
    _judging = Deferred("pipelines.usecases.clustering.judging")
    _page = Deferred("pipelines.usecases.clustering.page")
    _scoring = Deferred("pipelines.usecases.clustering.scoring")
    _training = Deferred("pipelines.usecases.clustering.training")

_FEATURES = "ml_clustering_features"


def plan(run: Run[ClusteringParams], training: bool) -> Plan:
    """Groups are found among the stores of the day itself, so training asks for nothing more."""
    return Plan(parameters=run.params.features.model_dump())


def summarise(run: Run[ClusteringParams], built: DbtRun) -> Record:
    """Count stores, those out of scope by reason, and the shares for which variables are unknown."""
    rows = built.read(f"select * from ml.{_FEATURES} where as_of = date '{run.as_of}'")
    inside = rows.filter(rows["in_scope"])
    unknown = {
        feature.name: inside[feature.name].null_count / max(inside.num_rows, 1)
        for feature in run.mart(_FEATURES).features
    }
    return {
        "stores": rows.num_rows,
        "in_scope": inside.num_rows,
        "out_of_scope": dict(sorted(Counter(rows["scope_reason"].drop_null().to_pylist()).items())),
        "missing": {name: round(share, 3) for name, share in unknown.items() if share},
    }


def phrase(speaker: Finding, raised: Sequence[Finding], of_metric: Sequence[Finding]) -> Sentence:
    """All findings, as there are few groups."""
    others = [finding.message for finding in raised if finding is not speaker]
    worst = max(raised, key=lambda finding: (finding.segment_name != ALL, finding.excess))
    return Sentence("; ".join([speaker.message, *others]), worst.segment_name)


_PAGE = PageSpec(
    checks={
        "stores": CheckStyle("Stores judged", 0, "at least"),
        "silhouette": CheckStyle("Silhouette", 3, "at least"),
        "stability": CheckStyle("Stability", 2, "at least"),
        "unstable_share": CheckStyle("Stores in unstable groups", 2, "at most"),
        "silhouette_against_champion": CheckStyle("Silhouette gained on the champion", 3, ">"),
        **{
            f"silhouette_against_{name}": CheckStyle(
                f"Silhouette gained on grouping by {name.replace('_', ' ')}", 3, ">"
            )
            for name in ("store_type", "assortment", "clientele", "region")
        },
    },
    watched=(
        Watched("features/clustering", "Features of the stores", "as_of", 31),
        Watched("predictions/store_clusters", "Groups of the stores", "as_of", 31),
    ),
    train_days=186,
    score_days=31,
    findings=FindingStyle(
        counts=frozenset({"stores", "age"}),
        shares=frozenset({"moved", "atypical", "size"}),
        named=frozenset({"size", "feature_shift"}),
        quiet={"feature_shift": 5},
        what="The groups",
    ),
)

USECASE = UseCase(
    name="clustering",
    title="Store groups",
    sentence="Which stores are alike, what sets the groups apart, and what moved.",
    params=ClusteringParams,
    borrows=(
        Borrowed("demand", "raw/demand_stores"),
        Borrowed("demand", "raw/demand_products"),
        Borrowed("demand", "raw/demand_sales"),
        # What a chain may lack: what they tell is then missing, or not special.
        Borrowed("demand", "raw/demand_promotions", optional=True),
        Borrowed("demand", "raw/demand_calendar_events", optional=True),
        Borrowed("demand", "raw/demand_customers", optional=True),
    ),
    marts=(Mart(_FEATURES),),
    grain=_FEATURES,
    plan=plan,
    summarise=summarise,
    code=("features", "models/clustering", "dbt_project/models"),
    read=_dataset.read_stores,
    fit=_training.fit,
    judge=_judging.judge,
    predict=_scoring.predict,
    tables=TABLES,
    results=CLUSTERS,
    check=_judging.check,
    phrase=phrase,
    page=_PAGE,
    sections=_page.sections,
    explain=Explain(keys=("store",), run=_describe.explain, text=_describe.explanation),
)
