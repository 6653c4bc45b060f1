"""Clustering: which stores are alike, what sets the groups apart, and what moved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pipelines.monitoring.alarms import Sentence
from pipelines.monitoring.schemas import ALL
from pipelines.reporting.page import CheckStyle, FindingStyle, PageSpec, Watched
from pipelines.usecase import Borrowed, Checked, Explain, Mart, Output, Plan, Record, Run, Trained, UseCase
from pipelines.usecases.clustering.params import ClusteringParams
from pipelines.usecases.clustering.schemas import CLUSTERS, TABLES

if TYPE_CHECKING:
    from models.clustering.groups import NamedGroups
    from models.evaluation.verdict import Verdict
    from pipelines.io.dbt import DbtRun
    from pipelines.io.registry import ModelVersion
    from pipelines.monitoring.findings import Finding
    from pipelines.usecases.clustering.dataset import Stores

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


def read(run: Run[ClusteringParams]) -> Stores:
    """Read the stores of the day."""
    from pipelines.usecases.clustering import dataset

    return dataset.read_stores(run)


def fit(run: Run[ClusteringParams], data: Stores, champion: NamedGroups | None) -> Trained:
    """Find and judge groups."""
    from pipelines.usecases.clustering import training

    return training.fit(run, data, champion)


def judge(run: Run[ClusteringParams], version: ModelVersion) -> Verdict:
    """Verdict on the challenger."""
    from pipelines.usecases.clustering import judging

    return judging.judge(run)


def predict(run: Run[ClusteringParams], model: NamedGroups, version: ModelVersion) -> Iterator[Output]:
    """Groups of the day, their profiles and what moved."""
    from pipelines.usecases.clustering import scoring

    return scoring.predict(run, model)


def check(run: Run[ClusteringParams]) -> Checked:
    """Findings of the day."""
    from pipelines.usecases.clustering import judging

    return judging.check(run)


def phrase(speaker: Finding, raised: Sequence[Finding], of_metric: Sequence[Finding]) -> Sentence:
    """All findings, as there are few groups."""
    others = [finding.message for finding in raised if finding is not speaker]
    worst = max(raised, key=lambda finding: (finding.segment_name != ALL, finding.excess))
    return Sentence("; ".join([speaker.message, *others]), worst.segment_name)


def sections(run: Run[ClusteringParams]) -> Mapping[str, object]:
    """Sections of the page."""
    from pipelines.usecases.clustering import page

    return page.sections(run)


def explain(run: Run[ClusteringParams], keys: Sequence[str]) -> Record:
    """Facts behind the group of one store."""
    from pipelines.usecases.clustering import describe

    return describe.explain(run, keys)


def explanation(record: Record) -> str:
    """The facts in words."""
    from pipelines.usecases.clustering import describe

    return describe.explanation(record)


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

USECASE: UseCase[ClusteringParams, Stores, NamedGroups] = UseCase(
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
    read=read,
    fit=fit,
    judge=judge,
    predict=predict,
    tables=TABLES,
    results=CLUSTERS,
    check=check,
    phrase=phrase,
    page=_PAGE,
    sections=sections,
    explain=Explain(keys=("store",), run=explain, text=explanation),
)
