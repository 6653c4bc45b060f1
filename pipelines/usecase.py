"""What a use case is: one frozen, typed declaration, ``USECASE`` in ``pipelines/usecases/<name>/__init__.py``.

The declaration states facts (tables, days, sinks, words) and holds a handful of hooks. The steps in
:mod:`pipelines.steps` drive any declaration; commands, assets, pages, ingest and erasure iterate over the
declarations, which :mod:`pipelines.discovery` finds. Importing a declaration is cheap: hooks import the
libraries that they need when they are called, and :class:`Deferred` does so for hooks in modules of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar

from features.contracts import Contract
from features.schemas import Table
from pipelines.io.lake import Lake
from pipelines.io.marts import mart_contract
from pipelines.monitoring.alarms import Alarm, Phrase, Words, first_and_count, raise_alarms
from pipelines.monitoring.findings import Finding
from pipelines.params import Params
from pipelines.reporting.page import PageSpec, Watched
from pipelines.settings import Settings
from pipelines.sinks.target import Target
from pipelines.sources.landed import landed_table
from pipelines.sources.layout import RawLayout

if TYPE_CHECKING:
    import pandas as pd

    from models.evaluation.verdict import Verdict
    from pipelines.io.audit import Audit
    from pipelines.io.dbt import DbtRun
    from pipelines.io.registry import ModelVersion
    from pipelines.io.staged import Rows
    from pipelines.monitoring.reference import Sample
    from pipelines.sources.adapter import Adapter

#: A step's record goes through XCom: ids, counts and short words only.
Record = dict[str, Any]


class TrainingData(Protocol):
    """What a model is fitted on."""

    @property
    def fingerprint(self) -> str:
        """Hash of the content; equal data have equal fingerprints."""

    @property
    def versions(self) -> Mapping[str, int]:
        """Version of every lake table that was read."""


P = TypeVar("P", bound=Params)
D = TypeVar("D", bound=TrainingData)
M = TypeVar("M")


@dataclass(frozen=True)
class Run(Generic[P]):
    """The run that a hook belongs to."""

    #: Name of the use case.
    usecase: str
    #: Day of the decision; nothing known on or after it is used.
    as_of: date
    settings: Settings
    #: Parameters of the use case, overrides applied.
    params: P

    @cached_property
    def lake(self) -> Lake:
        """The lake of the deployment."""
        return Lake.of(self.settings)

    def mart(self, model: str) -> Contract:
        """Contract of a dbt model below ``marts/ml``."""
        return mart_contract(self.settings.dbt_project, "ml", model)

    def command(self, verb: str) -> str:
        """Command that runs a step of this use case for the day, as errors and pages quote it."""
        return f"millrace {verb} {self.usecase} --as-of {self.as_of}"


# ------------------------------------------------------------------------------------------ features


class Span(StrEnum):
    """Days for which a mart is built."""

    #: The day of the decision.
    TODAY = "today"
    #: That day and, for training, the past days that models learn from.
    FEATURES = "features"
    #: Past days whose outcome is complete by now and, for training, the past days that models learn from.
    LABELS = "labels"
    #: For training only: the past days that models learn from. Those of an earlier training are removed.
    SNAPSHOTS = "snapshots"


@dataclass(frozen=True)
class Mart(Generic[P]):
    """A feature table, built by the dbt model of the same name below ``marts/ml``."""

    model: str
    span: Span = Span.TODAY
    #: Number of newest days to keep, for a table that is large and can be rebuilt from the raw tables at any
    #: time; all days by default.
    kept: Callable[[P], int] | None = None
    #: Whether a day may have no row; such a table does not tell whether the day was built.
    sparse: bool = False


@dataclass(frozen=True)
class Plan:
    """What one run of dbt computes."""

    #: Past days that models learn from; empty unless training.
    snapshots: Sequence[date] = ()
    #: Past days whose outcome is complete by now; several, so that a missed day heals.
    matured: Sequence[date] = ()
    #: Numbers that the SQL reads, by the names they have there.
    parameters: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Borrowed:
    """A table of another use case that the SQL of this one reads."""

    usecase: str
    #: Name in the lake, for instance ``raw/shop_orders``.
    table: str
    #: Whether it may be absent.
    optional: bool = False


# ---------------------------------------------------------------------------------- models and results


@dataclass(frozen=True)
class Trained:
    """A fitted model and everything that is kept about it."""

    #: Estimator, preprocessing included; stored without pickle.
    model: object
    #: A few rows of its input, for the signature.
    example: pd.DataFrame
    #: Model card in Markdown.
    card: str
    #: Rows of the training day in the order in which they are published; the gate goes by the last. ``as_of``
    #: and ``model_version`` are filled in where the table declares them.
    tables: Mapping[Table, Rows | pd.DataFrame]
    #: Numbers for MLflow; those that are not finite are left out.
    metrics: Mapping[str, float]
    #: What the step reports.
    record: Record
    #: Method that serves.
    predict: Literal["predict", "predict_proba"] = "predict_proba"
    #: Parameters that the training chose, logged beside the configured ones.
    chosen: Mapping[str, object] = field(default_factory=dict)
    #: Further tags of the model version.
    tags: Mapping[str, str] = field(default_factory=dict)
    #: Further artefacts by file name.
    texts: Mapping[str, str] = field(default_factory=dict)
    #: Scores and features of the judged rows, against which later days are watched for drift.
    sample: Sample | None = None


@dataclass(frozen=True)
class Output:
    """Rows of the day for one table."""

    table: Table
    #: Complete rows; of a frame, ``as_of`` and ``model_version`` are filled in where the table declares them.
    rows: Rows | pd.DataFrame
    #: What the rows must pass beyond the table's contract.
    audits: Sequence[Audit] = ()
    #: Whether Great Expectations looks at them too; it always looks at the results.
    examined: bool = False
    #: Written to the commit, beside the model version.
    metadata: Mapping[str, object] = field(default_factory=dict)
    #: What the step reports, taken once the rows are committed.
    record: Record = field(default_factory=dict)


@dataclass(frozen=True)
class Checked:
    """Findings of a day's monitoring, and the model version whose results were checked."""

    findings: Sequence[Finding]
    model_version: str | None
    record: Record = field(default_factory=dict)


@dataclass(frozen=True)
class Explain(Generic[P]):
    """How one result is explained to people and machines."""

    #: What names a result, in the order of the command line, for instance ``("store", "sku")``.
    keys: tuple[str, ...]
    #: Returns the facts as JSON-able values.
    run: Callable[[Run[P], Sequence[str]], Record]
    #: Words them for people.
    text: Callable[[Record], str]


# ------------------------------------------------------------------------------------------ use case


class Deferred:
    """Hooks of a module, which is imported when the first of them is called.

    A type checker is shown the module itself, so that hooks are checked as if they had been imported::

        if TYPE_CHECKING:
            from pipelines.usecases.footfall import training as _training
        else:
            _training = Deferred("pipelines.usecases.footfall.training")

    The name is not that of the module, which becomes an attribute of its package once it is imported.
    """

    def __init__(self, module: str) -> None:
        self.module = module

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def hook(*arguments: object) -> object:
            return getattr(import_module(self.module), name)(*arguments)

        return hook


@dataclass(frozen=True, kw_only=True)
class UseCase(Generic[P, D, M]):
    """One use case, whole."""

    #: Name of its folder, experiment, registered model and DAG tag.
    name: str
    #: What people call it, and whom it serves with what.
    title: str
    sentence: str
    #: Type of its parameters, read from ``params.yaml`` in its folder.
    params: type[P]
    #: Raw tables that its deliveries land in, in landing order; empty if it lives on borrowed ones.
    layouts: tuple[RawLayout, ...] = ()
    #: Names of layouts that its SQL does not read.
    unread: frozenset[str] = frozenset()
    #: Names of layouts that a deployment may lack.
    optional: frozenset[str] = frozenset()
    #: Tables of other use cases that its SQL reads.
    borrows: tuple[Borrowed, ...] = ()
    #: By source: how files in a layout of their own become raw files.
    adapters: Mapping[str, Callable[[], Adapter]] = field(default_factory=dict)
    #: Feature tables in the order in which they are published: whoever finds the last finds them all.
    marts: tuple[Mart[P], ...]
    #: The mart whose rows are what is scored.
    grain: str
    #: Days and numbers of a run of dbt, for training or not.
    plan: Callable[[Run[P], bool], Plan] = lambda run, training: Plan()
    #: Counts of a finished run of dbt for the record, before anything is published; may refuse the run.
    summarise: Callable[[Run[P], DbtRun], Record] = lambda run, built: {}
    #: Folders whose code decides what a model is, besides those every model depends on.
    code: tuple[str, ...] = ()
    #: Reads the training data of a day.
    read: Callable[[Run[P]], D]
    #: Fits and judges a challenger, beside the champion if there is one.
    fit: Callable[[Run[P], D, M | None], Trained]
    #: The gate's verdict on the challenger of the day.
    judge: Callable[[Run[P], ModelVersion], Verdict]
    #: Yields the tables of the day in the order in which they are committed; ``results`` comes last.
    predict: Callable[[Run[P], M, ModelVersion], Iterator[Output]]
    #: Every table that it writes to the lake, features apart.
    tables: tuple[Table, ...]
    #: The table that readers and the publication go by.
    results: Table
    #: Findings of the day's monitoring.
    check: Callable[[Run[P]], Checked]
    #: Words an alarm from the findings behind it.
    phrase: Phrase = first_and_count
    #: Where results are published; empty if they are read in the lake.
    targets: tuple[Target, ...] = ()
    #: Refuses results that must not leave the lake.
    publishable: Callable[[Run[P]], None] = lambda run: None
    #: Frame of its report page.
    page: PageSpec = field(default_factory=PageSpec)
    #: What its template ``page.html.j2`` shows beyond what every page does; parts that cannot be shown yet
    #: are ``Missing``. Without a template of its own the page shows what every page does.
    sections: Callable[[Run[P]], Mapping[str, object]] = lambda run: {}
    #: How one result is explained; by default its row is shown.
    explain: Explain[P] | None = None

    @property
    def folder(self) -> Path:
        """Folder of the use case."""
        return Path(__file__).parent / "usecases" / self.name

    def run(self, as_of: date, settings: Settings | None = None, params: P | None = None) -> Run[P]:
        """Context of a run for ``as_of``; parameters are read, overrides applied, unless given."""
        settings = settings or Settings.load()
        return Run(self.name, as_of, settings, params or self.load_params(settings))

    def load_params(self, settings: Settings, overrides: Mapping[str, object] | None = None) -> P:
        """Read ``params.yaml`` with the overrides of the deployment, then those given, by dotted key."""
        given = {**settings.overrides.get(self.name, {}), **(overrides or {})}
        return self.params.load(self.folder / "params.yaml", given)

    @property
    def words(self) -> Words:
        """What alarms and terms mean, from ``words.yaml`` in its folder; none without the file."""
        path = self.folder / "words.yaml"
        return Words.load(path) if path.exists() else Words()

    def raw(self, name: str) -> Table:
        """Raw table of a layout, by the layout's name."""
        layout = next(each for each in self.layouts if each.table.name == name)
        return landed_table(self.name, layout)

    def word_alarms(self, as_of: date, findings: Sequence[Finding]) -> list[Alarm]:
        """Alarms of a day's findings, in words."""
        return raise_alarms(self.name, as_of, findings, self.words.alarms, self.phrase)

    @property
    def watched(self) -> tuple[Watched, ...]:
        """Tables whose freshness counts: those of the page, and its rows of the tables that all share."""
        ours, page = {"usecase": self.name}, self.page
        return (
            *page.watched,
            Watched("ops/promotions", "Promotion log", "as_of", page.train_days, verb="train", where=ours),
            Watched("ops/monitoring", "Monitoring", "as_of", page.score_days, verb="monitor", where=ours),
            *(
                Watched(
                    "ops/publish_runs",
                    f"Publish ledger, {target.sink}",
                    "as_of",
                    page.score_days,
                    verb="publish",
                    where={"sink": target.sink, "object": target.ledger_object},
                )
                for target in self.targets
            ),
        )

    @property
    def raw_tables(self) -> tuple[Table, ...]:
        """Raw tables that its SQL reads."""
        return tuple(self.raw(each.table.name) for each in self.layouts if each.table.name not in self.unread)
